/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_FIFO_H
#define INBAND_FIFO_H

#include "maps.h"
#include "signals.h"

/* Messages of a flow in flight, answered first in first out: the same as src/latency/fifo.ts. */

#define RING_SIZE (INBAND_FIFO_DEPTH - 1)
#define EQUAL_MIN 4
#define EQUAL_MAX 15

/* The lower bits of a byte that two share, and a byte with others of them. */
static __always_inline __u32 low_of(__u8 byte, __u32 bits)
{
	return byte & ((1 << bits) - 1);
}

static __always_inline __u8 with_low(__u8 byte, __u32 bits, __u32 low)
{
	return (byte & ~((1 << bits) - 1)) | low;
}

static __always_inline __u8 with_high(__u8 byte, __u32 bits, __u32 high)
{
	return low_of(byte, bits) | high << bits;
}

/* An entry of the ring, `i` after its first. */
static __always_inline __u32 *ring_entry(struct inband_flow *line, __u32 i)
{
	__u32 at = (line->response_count >> INBAND_RESPONSE_BITS) + i;

	if (at >= RING_SIZE)
		at -= RING_SIZE;
	/* Compared and used as the same number of bits, which the verifier needs. */
	barrier_var(at);
	return &line->ring[at < RING_SIZE ? at : 0];
}

/* Where the time of the latest message in flight is. */
static __always_inline __u32 *latest_message(struct inband_flow *line)
{
	return line->count == 1 ? &line->head : ring_entry(line, line->count - 2);
}

/* A message was sent; there is room for it. */
static __always_inline void push_message(struct inband_flow *line, struct inband_signals *counts, __u32 tick)
{
	if (!line->count)
		line->head = tick;
	else
		*ring_entry(line, line->count - 1) = tick;
	line->count++;
	if ((line->flags & (INBAND_TCP_PIPELINED | INBAND_TCP_MERGED)) == INBAND_TCP_PIPELINED &&
	    (line->trust & INBAND_TRUST_MAX) < INBAND_TRUST_MAX)
		line->trust++;
	count_request(counts, tick);
}

/* The latest message went on: it counts from the last of its bursts, an eighth of a handshake each. */
static __always_inline void prolong_message(struct inband_flow *line, struct inband_signals *counts, __u32 tick)
{
	__u32 *latest = latest_message(line);

	if ((__s32)(tick - *latest) <= line->handshake >> 3)
		return;
	move_request(counts, *latest, tick);
	*latest = tick;
}

/* The oldest message leaves; in line where each packet comes by, as calls take long. */
static __always_inline void pop_here(struct inband_flow *line, struct inband_signals *counts)
{
	__u32 at;

	take_request(counts, line->head);
	if (!--line->count) {
		line->flags &= ~INBAND_TCP_TAINTED;
		return;
	}
	line->head = *ring_entry(line, 0);
	at = (line->response_count >> INBAND_RESPONSE_BITS) + 1;
	line->response_count = with_high(line->response_count, INBAND_RESPONSE_BITS, at < RING_SIZE ? at : 0);
}

__noinline int pop_message(struct inband_flow *line, struct inband_signals *counts)
{
	if (!line || !counts)
		return -1;
	pop_here(line, counts);
	return 0;
}

/* The oldest message was answered, if there is one. */
static __always_inline void answer_message(struct inband_flow *line, struct inband_signals *counts)
{
	if (!line->count)
		return;
	counts->responses++;
	pop_message(line, counts);
}

/* Only the latest messages stay in flight, at most so many. */
static __always_inline void keep_messages(struct inband_flow *line, struct inband_signals *counts, __u32 most)
{
	for (int i = 0; i < INBAND_FIFO_DEPTH && line->count > most; i++)
		pop_message(line, counts);
}

/* How many responses so many bytes are: several if all are of one size. */
static __always_inline __u32 responses_in(struct inband_flow *line, __u32 bytes)
{
	__u32 known = low_of(line->response_count, INBAND_RESPONSE_BITS), more = known;
	__u32 size = line->response_bytes, mss = line->mss;
	int is_many = size && known >= EQUAL_MIN && bytes > size && bytes <= INBAND_FIFO_DEPTH * size && !(bytes % size);

	if (bytes < mss) {
		if (bytes == size) {
			more = known < EQUAL_MAX ? known + 1 : EQUAL_MAX;
		} else if (!size || bytes % size) {
			more = known ? known - 1 : 0;
			if (known <= 1)
				line->response_bytes = bytes;
		}
		line->response_count = with_low(line->response_count, INBAND_RESPONSE_BITS, more);
	}
	if (line->flags & INBAND_TCP_RESPONDING)
		return 0;
	return is_many && 2 * size < mss ? bytes / size : 1;
}

/*
 * The ACK number advanced by so many bytes while messages were in flight: the latency of one that was answered, drawn by
 * the time; negative if it is not known.
 */
__noinline int advance_messages(struct inband_flow *line, struct inband_signals *counts, __u32 tick, __u32 bytes)
{
	__u32 answered, first, drawn;
	__s32 waited = 0, span;
	__s64 latency;
	__u16 flags;

	if (!line || !counts)
		return -1;
	flags = line->flags;
	first = line->head;
	answered = responses_in(line, bytes);
	if (answered > line->count)
		answered = line->count;
	if (!line->mss || bytes % line->mss)
		line->flags = flags & ~INBAND_TCP_RESPONDING;
	else
		line->flags = flags | INBAND_TCP_RESPONDING;
	if (!answered)
		return -1;
	drawn = (tick >> 4) % answered;
	for (__u32 i = 0; i < INBAND_FIFO_DEPTH && i < answered; i++) {
		if (i == drawn)
			waited = tick - line->head;
		answer_message(line, counts);
	}
	if ((line->trust & INBAND_TRUST_MAX) <= 2 * low_of(line->flight_max, INBAND_FLIGHT_BITS) ||
	    !(flags & INBAND_TCP_EAGER) || flags & INBAND_TCP_TAINTED)
		return -1;
	if (answered == 1)
		return waited;
	span = tick - line->advance_tick;
	if (span > (__s32)(tick - first - line->handshake))
		span = tick - first - line->handshake;
	if (span < 0)
		span = 0;
	latency = waited - (__s64)((__u64)span * (answered - 1 - drawn) / answered);
	return latency < 0 ? -1 : latency;
}

#endif
