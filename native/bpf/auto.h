/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_AUTO_H
#define INBAND_AUTO_H

#include "ack.h"
#include "gap.h"
#include "maps.h"
#include "packet.h"
#include "quic.h"
#include "signals.h"

/* Whatever a flow's packets allow: the same as `AutoEstimator` of src/latency/auto.ts. */

static __always_inline __u32 tick_of(__u64 now_ns)
{
	return now_ns >> INBAND_TICK_BITS;
}

/* The first packet of a flow, or the first after a pause that made its times worthless. */
__noinline int open_auto(struct xdp_md *context, struct inband_flow *line, const struct packet *packet,
			 struct inband_signals *counts, __u32 tick)
{
	if (!line || !packet || !counts)
		return -1;
	if (packet->proto == IPPROTO_TCP) {
		open_ack(context, line, packet, counts, tick);
	} else {
		line->count = 0;
		open_quic(context, line, packet, tick);
	}
	open_gap(line, packet, tick);
	return 0;
}

/* Takes back the requests that a flow has in flight: it ends, or begins anew. */
__noinline int forget_requests(struct inband_flow *line, struct inband_signals *counts)
{
	if (!line || !counts)
		return -1;
	keep_messages(line, counts, 0);
	return 0;
}

/* A flow ends, in whatever way, and its line is taken. */
static __always_inline void close_flow(struct inband_flow *line, __u32 cpu)
{
	struct inband_signals *counts;
	__u64 *count = entry(&ended, cell_of(cpu, line->backend));

	if (count)
		*count += 1;
	if (!(line->state & INBAND_STATE_AUTO) || !line->count)
		return;
	counts = signals_of(cpu, line->backend);
	if (counts)
		forget_requests(line, counts);
}

/* A later packet of a flow, `pause_ns` after the one before. Gives the samples that it completes. */
__noinline int observe_auto(struct xdp_md *context, struct inband_flow *line, const struct packet *packet,
			    struct seen *seen, __s64 pause_ns)
{
	struct inband_signals *counts;
	struct inband_gaps *gaps;
	__s32 ticks;

	if (!line || !packet || !seen)
		return -1;
	counts = entry(&signals, seen->cell);
	gaps = entry(&gap_counts, seen->cell);
	if (!counts || !gaps)
		return -1;
	if (pause_ns < 0 || pause_ns > 1LL << INBAND_PAUSE_BITS) {
		forget_requests(line, counts);
		open_auto(context, line, packet, counts, seen->tick);
		return 0;
	}
	if (packet->proto == IPPROTO_TCP) {
		observe_ack(context, line, packet, counts, &gaps->clock, seen);
	} else {
		ticks = observe_quic(context, line, packet, seen->tick);
		if (ticks >= 0)
			give(seen, INBAND_KIND_QUIC, ticks);
	}
	ticks = observe_gap(line, gaps, packet, seen->tick);
	if (ticks >= 0)
		give(seen, INBAND_KIND_GAP, ticks);
	return 0;
}

#endif
