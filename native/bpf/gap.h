/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_GAP_H
#define INBAND_GAP_H

#include "maps.h"
#include "packet.h"

/*
 * `gap`: ENSEMBLETIMEOUT repaired, the same as src/latency/gap.ts and gap-cut.ts. Each CPU chooses cuts from the flows
 * that it sees.
 */

#define GAPS_PER_EPOCH 128
#define GAP_EPOCH_TICKS (1U << 25)
#define GAPS_MIN 32
#define EPOCHS_TO_CHANGE 2
#define IDLE_BUCKETS 11
/* Half-octaves by which a valley may lower the cut of UDP. */
#define VALLEY_BUCKETS 4
#define GAP_TICKS_MAX (1 << 25)
#define FULL_SIZE_BYTES_MIN 1228
#define QUIC_DATA_BYTES_MIN 45

#define GAPS_ABOVE_MIN 8
#define FALL_MIN 3
#define MODE_BUCKETS 2

/* The bucket of a gap of less than GAP_TICKS_MAX. */
static __always_inline __u32 gap_bucket_of(__u32 ticks)
{
	__u32 octave;

	if (ticks < 1 << 8)
		return 0;
	octave = log2_of(ticks);
	return 1 + 2 * (octave - 8) + (ticks >> (octave - 1) & 1);
}

/* Whether the counts fall more from one octave to the next at `a` than at `b`. */
static __always_inline int is_steeper(const __u32 *above, __u32 a, __u32 b, __u32 damping)
{
	if (a >= INBAND_GAP_BUCKETS || b >= INBAND_GAP_BUCKETS)
		return 0;
	return (above[a] + damping) * (above[b + MODE_BUCKETS] + damping) >
	       (above[b] + damping) * (above[a + MODE_BUCKETS] + damping);
}

/* The bucket whose octave's counts fall most from the one before it; 0 if too few gaps show one. */
static __always_inline __u32 steepest(const __u32 *above, const __u32 *histogram, __u32 damping)
{
	__u32 best = 0;

	for (__u32 i = MODE_BUCKETS + 1; i < INBAND_GAP_BUCKETS - 1 && above[i] >= GAPS_ABOVE_MIN; i++) {
		if (!best || is_steeper(above, i, best, damping))
			best = i;
	}
	if (best >= INBAND_GAP_BUCKETS - 1)
		return 0;
	/* The fall is as steep where the first of the two buckets is nearly empty. */
	return best && 4 * histogram[best] < histogram[best + 1] ? best + 1 : best;
}

/* The bucket from which on a gap separates batches; 0 if the histogram shows none. `chooseCut` of src/latency/gap-cut.ts. */
static __always_inline __u32 choose_cut(const struct inband_gaps *counts, __u32 valley_max)
{
	__u32 above[INBAND_GAP_BUCKETS + MODE_BUCKETS + 1] = {};
	__u32 damping, best, cut, mode;

	for (int i = INBAND_GAP_BUCKETS - 1; i >= 0; i--)
		above[i] = above[i + 1] + counts->histogram[i];
	damping = 1 + (above[1] >> 4);
	best = steepest(above, counts->histogram, damping);
	if (best < MODE_BUCKETS || best >= INBAND_GAP_BUCKETS)
		return 0;
	if (above[best] + damping < FALL_MIN * (above[best + MODE_BUCKETS] + damping) ||
	    above[0] - above[best - MODE_BUCKETS] < above[best])
		return 0;
	mode = above[best] - above[best + MODE_BUCKETS];
	if (valley_max && 4 * (above[best - MODE_BUCKETS] - above[best]) > mode)
		return 0;
	cut = best - 1;
	for (__u32 lower = 0; lower < VALLEY_BUCKETS && lower < valley_max && cut > 1 && cut < INBAND_GAP_BUCKETS &&
			      8 * counts->histogram[cut - 1] <= mode;
	     lower++)
		cut--;
	return cut;
}

__noinline int end_gap_epoch(struct inband_gaps *counts, __u32 valley_max)
{
	__u32 chosen;

	if (!counts)
		return -1;
	chosen = choose_cut(counts, valley_max);
	if (chosen == counts->cut) {
		counts->streak = 0;
	} else if (++counts->streak >= EPOCHS_TO_CHANGE) {
		counts->streak = 0;
		counts->cut = chosen;
	}
	for (int i = 0; i < INBAND_GAP_BUCKETS; i++)
		counts->histogram[i] >>= 1;
	counts->gaps = 0;
	return 0;
}

static __always_inline __u32 size_of(const struct packet *packet)
{
	return packet->ip_bytes < 0xffff ? packet->ip_bytes : 0xffff;
}

static __always_inline void open_gap(struct inband_flow *line, const struct packet *packet, __u32 tick)
{
	line->gap_last = line->gap_batch = tick;
	line->gap_cut = INBAND_GAP_NO_CUT;
	line->gap_size = size_of(packet);
	if (packet->proto == IPPROTO_TCP) {
		line->gap_ack = packet->ack;
		line->gap_flags = (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN ? INBAND_GAP_OPENING : 0;
	} else {
		line->gap_flags = packet->ip_bytes >= FULL_SIZE_BYTES_MIN ? INBAND_GAP_FULL : 0;
	}
}

/* A SYN again makes the answer ambiguous (Karn); the packet that answers the only one ends the handshake. */
static __always_inline void end_gap_opening(struct inband_flow *line, struct inband_gaps *counts,
					    const struct packet *packet, __u32 tick)
{
	__s32 handshake = tick - line->gap_last;

	line->gap_flags = 0;
	line->gap_ack = packet->ack;
	line->gap_last = line->gap_batch = tick;
	line->gap_cut = INBAND_GAP_NO_CUT;
	if ((packet->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK || handshake < 0 || handshake >= GAP_TICKS_MAX)
		return;
	if (!counts->handshake || handshake < counts->handshake)
		counts->handshake = handshake ? handshake : 1;
	else
		counts->handshake += (handshake - counts->handshake) >> 3;
}

/* A gap that may be a wait: the sample in ticks that it ends, negative without one. */
static __always_inline __s32 count_gap(struct inband_flow *line, struct inband_gaps *counts, __u32 gap,
					__u32 valley_max, __u32 tick)
{
	__u32 bucket = gap_bucket_of(gap), cut = counts->cut;
	__s32 latency = -1;

	if (bucket < INBAND_GAP_BUCKETS)
		counts->histogram[bucket]++;
	if (cut && bucket >= cut) {
		if (line->gap_cut == cut && bucket < cut + IDLE_BUCKETS) {
			latency = tick - line->gap_batch;
			if (latency < 0 || latency >= GAP_TICKS_MAX || 8 * latency < 5 * counts->handshake)
				latency = -1;
		}
		line->gap_batch = tick;
		line->gap_cut = cut;
	}
	if (!counts->gaps)
		counts->since = tick;
	counts->gaps++;
	if (counts->gaps >= GAPS_PER_EPOCH || (tick - counts->since >= GAP_EPOCH_TICKS && counts->gaps >= GAPS_MIN))
		end_gap_epoch(counts, valley_max);
	return latency;
}

/* One more packet of a flow: the sample in ticks that it completes, negative without one. */
static __always_inline __s32 observe_gap(struct inband_flow *line, struct inband_gaps *counts,
					 const struct packet *packet, __u32 tick)
{
	__u8 flags = line->gap_flags, before = 0;
	__s32 gap;

	if (packet->proto == IPPROTO_TCP) {
		if (flags & INBAND_GAP_OPENING || packet->tcp_flags & (TCP_SYN | TCP_RST)) {
			end_gap_opening(line, counts, packet, tick);
			return -1;
		}
		if (packet->ack != line->gap_ack) {
			line->gap_ack = packet->ack;
			flags |= INBAND_GAP_MOVED;
			line->gap_flags = flags;
		}
		/* A keep-alive probe may carry one byte. */
		if (packet->payload_bytes <= 1)
			return -1;
	} else {
		__u32 bytes = size_of(packet);

		if (line->gap_size >= FULL_SIZE_BYTES_MIN && packet->payload_bytes < QUIC_DATA_BYTES_MIN)
			return -1;
		before = flags & INBAND_GAP_FULL;
		if (bytes > line->gap_size)
			line->gap_size = bytes;
		flags = bytes >= FULL_SIZE_BYTES_MIN && bytes == line->gap_size ? INBAND_GAP_FULL : 0;
		line->gap_flags = flags;
	}
	gap = tick - line->gap_last;
	line->gap_last = tick;
	if (flags & INBAND_GAP_MOVED || gap < 0 || gap >= GAP_TICKS_MAX) {
		line->gap_cut = flags & INBAND_GAP_MOVED ? INBAND_GAP_NO_CUT : counts->cut;
		line->gap_flags = flags & ~INBAND_GAP_MOVED;
		line->gap_batch = tick;
		return -1;
	}
	if (before)
		return -1;
	return count_gap(line, counts, gap, packet->proto == IPPROTO_TCP ? 0 : VALLEY_BUCKETS, tick);
}

#endif
