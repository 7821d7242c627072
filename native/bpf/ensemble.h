/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_ENSEMBLE_H
#define INBAND_ENSEMBLE_H

#include "maps.h"

/* The number of the timeout after which gaps get rarest, + 1; 0 without a gap. As `#cliff` of src/latency/ensemble.ts. */
static __always_inline __u32 cliff_of(const struct inband_traffic *counts)
{
	/* The steepest ratio so far; a / b > best_a / best_b is written as products, which are exact. */
	__u64 best_a = 0, best_b = 1;
	__u64 more = config.cliff_more + (counts->gaps[0] >> (config.cliff_shift & 31));
	__u32 best = 0;

	if (!counts->gaps[0])
		return 0;
	for (__u32 i = 0; i + 1 < INBAND_TIMEOUTS_MAX; i++) {
		__u64 a = counts->gaps[i] + more;
		__u64 b = counts->gaps[i + 1] + more;

		if (i + 1 < config.timeout_count && a * best_b > best_a * b) {
			best_a = a;
			best_b = b;
			best = i + 1;
		}
	}
	return best;
}

/* An epoch ends with the first packet that is at least its length after the start; the first packet only starts one. */
static __noinline void end_epoch(struct inband_traffic *counts, __u64 now_ns)
{
	if (counts->epoch_start_ns) {
		__u32 cliff = cliff_of(counts);

		if (cliff)
			counts->chosen = cliff;
		for (int i = 0; i < INBAND_TIMEOUTS_MAX; i++)
			counts->gaps[i] = 0;
	}
	counts->epoch_start_ns = now_ns;
}

/*
 * Time since the first packet of a flow's last batch, which was kept in INBAND_BATCH_TIME_BITS bits: a time that went
 * backwards shows as one of more than INBAND_LATENCY_BITS.
 */
static __always_inline __u64 since_batch_ns(const struct inband_flow *line, __u32 timeout, __u64 now_ns)
{
	__u64 batch_ns = line->batch_low[timeout] | (__u64)line->batch_high[timeout] << 32;

	return (now_ns - batch_ns) & ((1ULL << INBAND_BATCH_TIME_BITS) - 1);
}

/*
 * ENSEMBLETIMEOUT for one more packet of a flow, `gap_ns` after the one before; the same as `observe` of
 * src/latency/ensemble.ts with counts per backend. True with a sample.
 */
static __always_inline int observe_ensemble(struct inband_flow *line, struct inband_traffic *counts, __u64 now_ns,
				       __s64 gap_ns, __u64 *latency_ns)
{
	__u32 crossed = 0;
	int is_sample = 0;

	for (__u32 i = 0; i < INBAND_TIMEOUTS_MAX && gap_ns > (__s64)config.timeout_ns[i]; i++) {
		counts->gaps[i]++;
		crossed = i + 1;
	}
	if ((__s64)(now_ns - counts->epoch_start_ns) >= (__s64)config.epoch_ns)
		end_epoch(counts, now_ns);
	if (!crossed)
		return 0;
	if (counts->chosen && crossed >= counts->chosen && counts->chosen <= INBAND_TIMEOUTS_MAX) {
		*latency_ns = since_batch_ns(line, counts->chosen - 1, now_ns);
		/* Cut to its bits, a latency of hours could pass for a short one. */
		if (gap_ns >> INBAND_LATENCY_BITS)
			*latency_ns = gap_ns;
		is_sample = 1;
	}
	for (__u32 i = 0; i < INBAND_TIMEOUTS_MAX && i < crossed; i++) {
		line->batch_low[i] = now_ns;
		line->batch_high[i] = now_ns >> 32;
	}
	return is_sample;
}

#endif
