/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_SWEEP_H
#define INBAND_SWEEP_H

#include "flow.h"
#include "maps.h"
#include "vip.h"

/* Ends flows whose time is over without a packet that would find it out, so that what backends hold comes down. */

/* Whether a flow is past its time-out; of a lost backend, past that of one that closes. */
static __always_inline int is_over(const struct inband_flow *line, __u64 now_ns)
{
	__s64 idle_ns = now_ns - line->last_ns;

	if (idle_ns > (__s64)config.idle_ns[line->state & STATE_MASK])
		return 1;
	return idle_ns > (__s64)config.idle_ns[INBAND_STATE_CLOSING] && is_lost(backend_at(line->backend));
}

/* Ends what is over in a set; how many flows that were. */
__noinline int sweep_set(__u32 index, __u64 now_ns)
{
	struct inband_counters *counted = entry(&counters, config.cpu_count);
	struct inband_flow_set *set = entry(&flows, index);
	int count = 0;

	if (!counted || !set)
		return 0;
	for (__u32 i = 0; i < INBAND_WAYS; i++) {
		struct inband_flow *line = &set->lines[i];
		__u64 key = line->key;
		__u32 choice;

		if (!key || key == KEY_BUSY || !is_over(line, now_ns) || !take_line(line, key))
			continue;
		/* This may be interrupted for long: the line that was taken can be one that was made meanwhile. */
		if (!is_over(line, now_ns)) {
			__sync_lock_test_and_set(&line->key, key);
			continue;
		}
		choice = line->choice;
		close_flow(line, config.cpu_count);
		__sync_lock_test_and_set(&line->key, 0);
		if (choice)
			count_spilled(key, hash_of(key, 0), choice, -1);
		counted->idle++;
		count++;
	}
	return count;
}

struct sweeping {
	__u64 now_ns;
	__u32 set_first;
	__u32 ended;
};

static long sweep_next(__u64 i, struct sweeping *sweeping)
{
	sweeping->ended += sweep_set(sweeping->set_first + i, sweeping->now_ns);
	return 0;
}

/* Run by user space, as often as it looks after the flow table; gives how many flows ended. */
SEC("syscall")
int sweep(struct inband_sweep *slice)
{
	struct sweeping sweeping = { .now_ns = clock_ns(), .set_first = slice->set_first };
	__u32 sets = slice->set_count;

	bpf_loop(sets < INBAND_SWEEP_SETS_MAX ? sets : INBAND_SWEEP_SETS_MAX, sweep_next, &sweeping, 0);
	return sweeping.ended;
}

#endif
