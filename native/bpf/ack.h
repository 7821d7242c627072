/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_ACK_H
#define INBAND_ACK_H

#include "fifo.h"
#include "maps.h"
#include "packet.h"
#include "signals.h"
#include "stamp.h"
#include "wlag.h"

/* Latencies from ACK numbers: the same as `AckAdvance` of src/latency/ack.ts. */

#define ADVANCE_MAX (1 << 30)
#define FULL_BYTES_MIN 512
#define PROMPT_ACK_MAX 546875
#define LATE_MIN (1 << 13)
#define LATE_LOG2 3
#define DISTRUST_STEP 8
#define DISTRUST_MUTED 16
#define DISTRUST_MAX 40
#define EARLY_MAX 8
#define CLEAN_MIN 4
/* More need not be counted. */
#define CLEAN_MAX 7
#define FADE_LOG2 11

#define TCP_OPENS (TCP_SYN | TCP_ACK | TCP_RST)

/* A packet of a flow of `auto`, and the samples that it completes, in ticks by kind. */
struct seen {
	__u32 tick;
	/* Where what is kept of its CPU and backend is. */
	__u32 cell;
	/* Bits by kind: which of the samples there are. */
	__u32 kinds;
	__s32 samples[INBAND_KIND_QUIC + 1];
	__u32 pad;
};

static __always_inline void give(struct seen *seen, enum inband_kind kind, __s32 ticks)
{
	seen->kinds |= 1 << kind;
	seen->samples[kind] = ticks;
}

/* A flow's first packet, or the first after a pause. */
static __always_inline void open_ack(struct xdp_md *context, struct inband_flow *line, const struct packet *packet,
				     struct inband_signals *counts, __u32 tick)
{
	int is_syn = (packet->tcp_flags & TCP_OPENS) == TCP_SYN;

	line->snd_max = packet->seq + packet->payload_bytes + is_syn;
	line->ack_max = 0;
	line->head = 0;
	line->handshake = line->late = 0;
	line->advance_tick = 0;
	line->flags = 0;
	line->mss = line->last_bytes = line->flight_bytes = line->flight_bytes_max = 0;
	line->count = line->distrust = 0;
	line->anchor_tick = line->anchor_stamp = 0;
	line->phase_min = line->phase_max = 0;
	for (int i = 0; i < RING_SIZE; i++)
		line->ring[i] = 0;
	line->response_bytes = 0;
	line->response_count = line->phase_count = line->flight_max = line->trust = 0;
	if (is_syn) {
		struct options options;
		__u32 stamps;

		read_options(context, packet, &options);
		stamps = options.has_timestamps ? 12 : 0;
		line->flags = INBAND_TCP_OPENING;
		line->anchor_tick = tick;
		line->mss = options.mss > stamps ? options.mss - stamps : 0;
		return;
	}
	line->ack_max = packet->ack;
	if (packet->payload_bytes) {
		line->flags = INBAND_TCP_TAINTED;
		push_message(line, counts, tick);
	}
}

static __always_inline __s32 late_max(const struct inband_flow *line)
{
	__s32 part = line->handshake >> 4;

	return part > LATE_MIN ? part : LATE_MIN;
}

/* Takes in how late the client spoke after it had a response. */
static __always_inline void take_late(struct inband_flow *line, __s64 by)
{
	__s32 most = late_max(line);

	if (by < -most)
		by = -most;
	if (by > 4LL * most)
		by = 4LL * most;
	if (line->flags & INBAND_TCP_HEARD) {
		line->late += ((__s32)by - line->late) >> LATE_LOG2;
	} else {
		line->flags |= INBAND_TCP_HEARD;
		line->late = by;
	}
}

/* Whether a packet acknowledges without the client having anything else to say: a FIN comes after its thinking, too. */
static __always_inline int is_pure_ack(const struct packet *packet)
{
	return !packet->payload_bytes && !(packet->tcp_flags & TCP_FIN);
}

/* The client goes about it in another way: how late it speaks is to be found out anew. */
static __always_inline void forget_late(struct inband_flow *line)
{
	line->late = 0;
	line->flags &= ~INBAND_TCP_HEARD;
}

/* Whether the client asks again as soon as it has the response, on average, as far as can be known. */
static __always_inline int is_prompt(struct inband_flow *line, int is_stamped, __s32 latency)
{
	if (line->late >= late_max(line))
		return 0;
	if (!(line->trust & INBAND_TRUST_STAMPED) || is_stamped)
		return 1;
	/* What was once known fades while it cannot be checked. */
	line->late += latency >> FADE_LOG2;
	return !!(line->flags & INBAND_TCP_HEARD);
}

/* Whether a latency may be one: nothing is answered sooner than the handshake was. */
static __always_inline int is_possible(struct inband_flow *line, __s32 latency)
{
	__u32 distrust = low_of(line->distrust, INBAND_DISTRUST_BITS);
	__u32 early = line->flight_max >> INBAND_FLIGHT_BITS;
	__s32 handshake = line->handshake;

	if (4LL * latency < 3LL * handshake) {
		if (early < EARLY_MAX) {
			__u32 more = distrust + DISTRUST_STEP;

			line->flight_max += 1 << INBAND_FLIGHT_BITS;
			line->distrust = with_low(line->distrust, INBAND_DISTRUST_BITS,
						  more < DISTRUST_MAX ? more : DISTRUST_MAX);
		} else {
			line->handshake = handshake - (handshake >> 3);
		}
		return 0;
	}
	line->flight_max = with_high(line->flight_max, INBAND_FLIGHT_BITS, 0);
	if (latency < handshake && !(line->flags & INBAND_TCP_SURPLUS))
		line->handshake = latency;
	if (distrust)
		line->distrust--;
	return distrust < DISTRUST_MUTED;
}

/* A SYN sent again, a reset, or a packet without ACK, which belongs to no connection. */
static __always_inline void observe_unusual(struct inband_flow *line, const struct packet *packet,
					    struct inband_signals *counts)
{
	if (packet->tcp_flags & TCP_RST) {
		counts->resets++;
	} else if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		counts->syn_retransmits++;
		line->flags |= INBAND_TCP_SYN_AGAIN;
	}
}

/* The ACK of the SYN-ACK: the handshake, and the server's clock at its beginning. */
static __always_inline void observe_answer(struct xdp_md *context, struct inband_flow *line,
					   const struct packet *packet, struct inband_signals *counts,
					   struct seen *seen)
{
	__u16 flags = line->flags & ~INBAND_TCP_OPENING;
	__s32 handshake = seen->tick - line->anchor_tick;
	struct options options;

	line->flags = flags;
	line->ack_max = packet->ack;
	counts->handshakes++;
	if (flags & INBAND_TCP_SYN_AGAIN || handshake < 0)
		return;
	line->handshake = handshake ? handshake : 1;
	read_options(context, packet, &options);
	anchor_stamp(line, &options);
	give(seen, INBAND_KIND_HANDSHAKE, handshake);
}

/* The only message in flight was answered. */
static __always_inline void observe_single(struct xdp_md *context, struct inband_flow *line,
					   const struct packet *packet, struct inband_clock *clock,
					   struct seen *seen, __s32 latency)
{
	int is_pure = is_pure_ack(packet), is_at_once, is_late = 0, is_sample;
	__s32 handshake = line->handshake;
	struct residence residence = { .tick = seen->tick, .latency = latency };

	is_at_once = is_pure && (__s64)latency - handshake < PROMPT_ACK_MAX;
	residence.is_at_once = is_at_once;
	if (line->flags & INBAND_TCP_ANCHORED) {
		struct options options;

		read_options(context, packet, &options);
		take_stamp(line, clock, &options, &residence);
	}
	if (residence.is_known) {
		__s64 excess = (__s64)latency - handshake - residence.ticks;

		if (!is_at_once)
			take_late(line, excess);
		is_late = 2 * excess > 3LL * residence.tick_length + (handshake >> 2);
	}
	if (is_pure)
		is_sample = residence.is_known || (is_at_once && !residence.is_delayed);
	else
		is_sample = is_prompt(line, residence.is_known, latency);
	if (is_sample && !is_late)
		give(seen, INBAND_KIND_REQUEST, latency);
	if (residence.is_known && residence.is_believed)
		give(seen, INBAND_KIND_SERVER, residence.ticks + handshake);
}

/* Flows that went back to one message at a time, with pauses, are not pipelined any more. */
static __always_inline void count_clean(struct inband_flow *line, __u32 tick)
{
	__u32 clean = line->phase_count >> INBAND_PHASE_BITS;
	__s32 latency = tick - line->head;

	if (!(line->trust & INBAND_TRUST_LONE))
		return;
	line->trust &= ~INBAND_TRUST_LONE;
	if (4LL * latency < 3LL * line->handshake)
		clean = 0;
	else if (clean < CLEAN_MAX)
		clean++;
	if (clean >= CLEAN_MIN && line->count == 1) {
		clean = 0;
		line->trust &= ~INBAND_TRUST_MAX;
		forget_late(line);
		line->response_count = with_high(line->response_count, INBAND_RESPONSE_BITS, 0);
		line->flags &= ~(INBAND_TCP_PIPELINED | INBAND_TCP_MERGED | INBAND_TCP_SURPLUS | INBAND_TCP_EAGER |
				 INBAND_TCP_RESPONDING | INBAND_TCP_ADVANCED);
	}
	line->phase_count = with_high(line->phase_count, INBAND_PHASE_BITS, clean);
}

static __always_inline void note_pure_advance(struct inband_flow *line, const struct packet *packet)
{
	line->flags &= ~INBAND_TCP_PURE_ADVANCE;
	if (is_pure_ack(packet))
		line->flags |= INBAND_TCP_PURE_ADVANCE;
}

/* New bytes from the server have reached the client: so many. */
static __always_inline void observe_advance(struct xdp_md *context, struct inband_flow *line,
					    const struct packet *packet, struct inband_signals *counts,
					    struct inband_clock *clock, struct seen *seen, __u32 advance)
{
	__u16 flags = line->flags;

	if (flags & INBAND_TCP_PIPELINED)
		count_clean(line, seen->tick);
	if (flags & INBAND_TCP_MERGED) {
		advance_wlag(line, seen->tick);
		answer_message(line, counts);
		note_pure_advance(line, packet);
		return;
	}
	if (!line->count) {
		line->flags &= ~INBAND_TCP_TAINTED;
		if (flags & INBAND_TCP_ASKED)
			line->flags |= INBAND_TCP_SURPLUS;
		if (flags & INBAND_TCP_PIPELINED)
			begin_wlag(line);
	} else if (flags & INBAND_TCP_PIPELINED) {
		__s32 latency = advance_messages(line, counts, seen->tick, advance);
		/* Nothing more is waited for: the client may have thought before it went on. */
		int is_sample = is_pure_ack(packet) || line->count || is_prompt(line, 0, latency > 0 ? latency : 0);

		if (latency >= 0 && is_possible(line, latency) && is_sample)
			give(seen, INBAND_KIND_PIPELINED, latency);
	} else {
		__s32 latency = seen->tick - line->head;

		counts->responses++;
		pop_here(line, counts);
		if (!(flags & INBAND_TCP_TAINTED) && latency >= 0 && is_possible(line, latency))
			observe_single(context, line, packet, clock, seen, latency);
	}
	line->advance_tick = seen->tick;
	line->flags &= ~INBAND_TCP_FLIGHT;
	note_pure_advance(line, packet);
}

/* A message begins while others wait for their response: the first-flight gate. */
__noinline int begin_another(struct inband_flow *line, struct inband_signals *counts, __u32 tick)
{
	__s32 since;
	int is_more;

	if (!line || !counts)
		return -1;
	since = tick - *latest_message(line);
	line->phase_count = with_high(line->phase_count, INBAND_PHASE_BITS, 0);
	line->trust &= ~INBAND_TRUST_LONE;
	/* Nagle's algorithm (RFC 9293, 3.7.4) would hold it back for a round trip. */
	if (since >= 0 && 2LL * since < line->handshake)
		line->flags |= INBAND_TCP_EAGER;
	if (line->flags & INBAND_TCP_MERGED)
		return 0;
	if (!(line->flags & INBAND_TCP_PIPELINED))
		forget_late(line);
	line->flags |= INBAND_TCP_PIPELINED;
	is_more = !(line->flags & INBAND_TCP_FLIGHT) && line->count >= low_of(line->flight_max, INBAND_FLIGHT_BITS);
	if (line->count < INBAND_FIFO_DEPTH && !is_more && !(line->flags & INBAND_TCP_SURPLUS)) {
		push_message(line, counts, tick);
	} else {
		/* Messages cannot be counted any more: bytes can. */
		keep_messages(line, counts, 1);
		begin_wlag(line);
	}
	return 0;
}

static __always_inline void measure_flight(struct inband_flow *line, __u32 bytes)
{
	__u32 sum = line->flight_bytes + bytes;

	line->flight_bytes = sum < 0xffff ? sum : 0xffff;
	if (line->flags & INBAND_TCP_MERGED)
		return;
	if (line->flight_bytes > line->flight_bytes_max)
		line->flight_bytes_max = line->flight_bytes;
	if (line->count > low_of(line->flight_max, INBAND_FLIGHT_BITS))
		line->flight_max = with_low(line->flight_max, INBAND_FLIGHT_BITS, line->count);
}

/* New data: another segment of a message, or the first of one. */
static __always_inline void observe_message(struct inband_flow *line, struct inband_signals *counts, __u32 tick,
					    __u32 bytes)
{
	__u16 flags = line->flags;
	int is_same = bytes >= FULL_BYTES_MIN && bytes == line->last_bytes;
	int is_full;

	if (!line->count) {
		if (flags & INBAND_TCP_PURE_ADVANCE) {
			__s32 pause = tick - line->advance_tick;

			if (!(flags & INBAND_TCP_MERGED))
				take_late(line, pause);
			if (pause >= line->handshake)
				line->trust |= INBAND_TRUST_LONE;
		}
		line->flags |= INBAND_TCP_FLIGHT;
		line->flight_bytes = 0;
		push_message(line, counts, tick);
	} else if (flags & INBAND_TCP_UNFINISHED || (is_same && line->count == 1)) {
		if (is_same)
			line->mss = bytes;
		prolong_message(line, counts, tick);
	} else {
		begin_another(line, counts, tick);
	}
	if (line->flags & INBAND_TCP_FLIGHT)
		measure_flight(line, bytes);
	is_full = line->mss ? bytes >= line->mss && !(bytes % line->mss) : is_same;
	line->last_bytes = bytes;
	line->flags &= ~(INBAND_TCP_PURE_ADVANCE | INBAND_TCP_UNFINISHED);
	line->flags |= INBAND_TCP_ASKED | (is_full ? INBAND_TCP_UNFINISHED : 0);
}

/* Data sent before: which of its copies was answered cannot be told (Karn). */
static __always_inline void observe_again(struct inband_flow *line, struct inband_signals *counts)
{
	counts->retransmits++;
	drop_probe(line);
	if (line->count)
		line->flags |= INBAND_TCP_TAINTED;
}

static __always_inline void observe_data(struct inband_flow *line, const struct packet *packet,
					 struct inband_signals *counts, struct seen *seen)
{
	__u32 bytes = packet->payload_bytes;
	__u32 end = packet->seq + bytes;
	__s32 beyond = end - line->snd_max;

	if (beyond > ADVANCE_MAX)
		return;
	counts->segments++;
	if (beyond <= 0) {
		/* A keep-alive probe may carry the last byte again (RFC 9293, 3.8.4). */
		if (bytes > 1)
			observe_again(line, counts);
		return;
	}
	if (packet->seq != line->snd_max) {
		if (beyond < (__s32)bytes)
			counts->retransmits++;
		drop_probe(line);
		line->flags |= INBAND_TCP_TAINTED;
	}
	line->snd_max = end;
	observe_message(line, counts, seen->tick, bytes);
	if (line->flags & INBAND_TCP_MERGED) {
		__s32 latency = observe_wlag(line, packet->seq, bytes, seen->tick);

		if (latency >= 0 && is_possible(line, latency))
			give(seen, INBAND_KIND_PIPELINED, latency);
	}
}

/* One more packet of a flow that has not paused for too long. */
static __always_inline void observe_ack(struct xdp_md *context, struct inband_flow *line, const struct packet *packet,
					struct inband_signals *counts, struct inband_clock *clock, struct seen *seen)
{
	__s32 advance;

	if ((packet->tcp_flags & TCP_OPENS) != TCP_ACK) {
		observe_unusual(line, packet, counts);
		return;
	}
	if (line->flags & INBAND_TCP_OPENING)
		observe_answer(context, line, packet, counts, seen);
	advance = packet->ack - line->ack_max;
	if (advance > 0) {
		if (advance > ADVANCE_MAX)
			return;
		line->ack_max = packet->ack;
		/* A pure ACK of one more may be that of the server's FIN. */
		if (advance == 1 && !packet->payload_bytes)
			line->flags |= INBAND_TCP_TAINTED;
		observe_advance(context, line, packet, counts, clock, seen, advance);
	}
	if (packet->payload_bytes)
		observe_data(line, packet, counts, seen);
}

#endif
