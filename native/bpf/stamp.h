/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_STAMP_H
#define INBAND_STAMP_H

#include "fifo.h"
#include "maps.h"
#include "packet.h"

/* Time that a request spent at the server, by its own clock: the same as src/latency/stamp.ts and server-clock.ts. */

#define VOTES_PER_FLOW 3
#define VOTE_TICKS_LOG2_MAX 30
#define DRIFT_LOG2 16
#define PHASE_COUNT_MAX 16
#define PROMPT_MARGIN (1 << 9)
#define VOTES_MIN 2
#define VOTES_MAX 15
#define CHECKED_MIN 200
#define CHECKED_LOG2 8
#define SHIFT_MAX 8
#define SERVER_TICKS 4
#define SERVER_TICK_UNKNOWN (-1)

/* What is known of a response by the server's clock. */
struct residence {
	/* When it was seen, how long after its request, and whether it was acknowledged at once. */
	__u32 tick;
	__s32 latency;
	int is_at_once;
	/* What was found. */
	__s32 ticks;
	__s32 tick_length;
	int is_known;
	int is_believed;
	/* What seemed to be acknowledged at once was sent long before, by all that is known of the phase. */
	int is_delayed;
};

/* A tick of the server's clock in units of 64 ns / 2^shift. */
static __always_inline __u32 server_tick(__u32 index, __u32 *shift)
{
	*shift = index == 3 ? 3 : 0;
	return index == 0 ? 15625 : index == 1 ? 62500 : index == 2 ? 156250 : 125;
}

/* The tick that fits within a quarter; SERVER_TICK_UNKNOWN if none does. */
static __always_inline int server_tick_of(__s32 ticks, __u32 span)
{
	if (ticks <= 0 || ticks > 1 << 26)
		return SERVER_TICK_UNKNOWN;
	for (int i = 0; i < SERVER_TICKS; i++) {
		__u32 shift, length = server_tick(i, &shift);
		__u64 estimate = 4ULL * ticks * length;

		if (estimate >= 3ULL * span << shift && estimate <= 5ULL * span << shift)
			return i;
	}
	return SERVER_TICK_UNKNOWN;
}

/* One flow's view: the server's clock advanced by `ticks` in `span`. */
static __always_inline void vote(struct inband_clock *clock, __s32 ticks, __u32 span)
{
	int found = server_tick_of(ticks, span);

	if (clock->votes && found == (int)clock->tick) {
		if (clock->votes < VOTES_MAX)
			clock->votes++;
	} else if (clock->votes) {
		clock->votes--;
	} else if (found != SERVER_TICK_UNKNOWN) {
		clock->tick = found;
		clock->votes = 1;
		clock->checked = 0;
		clock->mean = 0;
	}
}

/* Twice the log2 of what responses take elsewhere over what they take at the server, -SHIFT_MAX to SHIFT_MAX. */
static __always_inline int clock_shift(const struct inband_clock *clock)
{
	int server = log2_of(clock->mean > 1 ? clock->mean : 1);
	int shift = (int)log2_of(clock->elsewhere > 1 ? clock->elsewhere : 1) - server;

	return shift > SHIFT_MAX ? SHIFT_MAX : shift < -SHIFT_MAX ? -SHIFT_MAX : shift;
}

static __always_inline __s32 clamp(__s64 value, __s64 least, __s64 most)
{
	return value < least ? least : value > most ? most : value;
}

/* Takes in a residence, and the time elsewhere beyond the handshake; whether residences of this backend are believed. */
static __always_inline int check_residence(struct inband_clock *clock, __s64 residence, __s64 elsewhere,
					   __s32 tick_length)
{
	clock->mean += clamp(residence, -4 * tick_length, 4 * tick_length) - (clock->mean >> CHECKED_LOG2);
	clock->elsewhere += clamp(elsewhere, -tick_length, 8 * tick_length) - (clock->elsewhere >> CHECKED_LOG2);
	if (clock->checked < CHECKED_MIN) {
		clock->checked++;
		return 1;
	}
	return clock->mean >> CHECKED_LOG2 > -((tick_length * 5) >> 4);
}

/* The ACK that answers the SYN-ACK echoes its timestamp. */
static __always_inline void anchor_stamp(struct inband_flow *line, const struct options *options)
{
	if (!options->has_timestamps)
		return;
	line->trust |= INBAND_TRUST_STAMPED;
	if (!options->ts_echo)
		return;
	line->flags |= INBAND_TCP_ANCHORED;
	line->anchor_stamp = options->ts_echo;
}

/* The response left `span` after the SYN-ACK at the latest, and at most `unsure` earlier. */
__noinline int vote_once(struct inband_flow *line, struct inband_clock *clock, __s32 ticks, __s32 span, __s64 unsure)
{
	__u32 votes;

	if (!line || !clock)
		return -1;
	votes = line->distrust >> INBAND_DISTRUST_BITS;
	if (votes >= VOTES_PER_FLOW || span < 1 << (18 + 3 * votes) || span >= 1 << VOTE_TICKS_LOG2_MAX)
		return 0;
	if (unsure > span >> 3)
		return 0;
	line->distrust += 1 << INBAND_DISTRUST_BITS;
	vote(clock, ticks, span);
	return 0;
}

/*
 * Narrows what is known of the phase by when the response may have left, after the beginning of the tick echoed if the
 * phase were 0; false if what was seen cannot be: the anchor is none (SYN cookies), or an ACK taken for one sent at once
 * was not.
 */
static __always_inline int bound_phase(struct inband_flow *line, __s64 latest, __s64 earliest,
				       struct residence *residence)
{
	__u32 count = low_of(line->phase_count, INBAND_PHASE_BITS);
	__s32 since = residence->tick - line->advance_tick;
	__s64 drift = since > 0 ? since >> DRIFT_LOG2 : 0, min, max;
	__s32 tick_length = residence->tick_length;
	__s32 least = (__u32)-latest;
	__s32 most = (__u32)(tick_length - earliest);

	if (!(line->flags & INBAND_TCP_BOUNDED)) {
		line->flags |= INBAND_TCP_BOUNDED;
		line->phase_max = tick_length;
	}
	min = line->phase_min - drift;
	max = line->phase_max + drift;
	if (min < least)
		min = least;
	if (max > most)
		max = most;
	if (min > max) {
		if (residence->is_at_once && count && line->phase_min - drift - most > tick_length >> 3) {
			residence->is_delayed = 1;
			line->phase_count = with_low(line->phase_count, INBAND_PHASE_BITS, count >> 1);
			return 0;
		}
		if (least > 2 * tick_length || most < -tick_length) {
			line->flags &= ~INBAND_TCP_ANCHORED;
			return 0;
		}
		min = least > 0 ? least : 0;
		max = most < tick_length ? most : tick_length;
		if (max < min)
			max = min;
	}
	if (count < PHASE_COUNT_MAX)
		line->phase_count++;
	line->phase_min = min;
	line->phase_max = max;
	return 1;
}

/* How far below its upper bound the phase is, in 64ths, by `clock_shift` + SHIFT_MAX: 64 / (1 + 2^(shift / 2)). */
static const __u8 shares_of_upper[2 * SHIFT_MAX + 1] = { 60, 59, 57, 54, 51, 47, 43, 37, 32,
							 27, 21, 17, 13, 10, 7,	 5,  4 };

/* The phase: half a tick at first, and where its bounds are once they are known by many responses. */
static __always_inline __u32 phase_of(const struct inband_flow *line, __s32 half, int shift)
{
	__u32 share = shift + SHIFT_MAX, clipped, between;
	__s64 min = line->phase_min, max = line->phase_max;

	if (max - min > 2 * half) {
		/* Drift has loosened the bound that responses seldom come near. */
		if (shift >= 0)
			min = max - 2 * half;
		else
			max = min + 2 * half;
	}
	clipped = clamp(half, min, max);
	/* Compared and used as the same number of bits, which the verifier needs. */
	barrier_var(share);
	share = share <= 2 * SHIFT_MAX ? shares_of_upper[share] : 0;
	between = max - ((__s32)(max - min) >> 6) * share;
	return clipped + ((__s32)((between - clipped) * low_of(line->phase_count, INBAND_PHASE_BITS)) >> 4);
}

/* Takes in a response to the only request in flight. */
__noinline int take_stamp(struct inband_flow *line, struct inband_clock *clock, const struct options *options,
			  struct residence *residence)
{
	__s32 handshake, latency, age, tick_length, left, sent, half, stamped;
	__u32 shift, length, ticks;
	__s64 earliest, size;

	if (!line || !clock || !options || !residence || !options->has_timestamps || !options->ts_echo)
		return 0;
	handshake = line->handshake;
	latency = residence->latency;
	ticks = options->ts_echo - line->anchor_stamp;
	age = residence->tick - line->anchor_tick;
	if (line->distrust >> INBAND_DISTRUST_BITS < VOTES_PER_FLOW)
		vote_once(line, clock, ticks, age - handshake, (__s64)latency - handshake);
	if (clock->votes < VOTES_MIN)
		return 0;
	length = server_tick(clock->tick, &shift);
	tick_length = (length + (1 << shift) - 1) >> shift;
	residence->tick_length = tick_length;
	/* Modulo 2^32 this holds however long ago the handshake was. */
	left = (__s32)(((__u32)age << shift) - ticks * length) >> shift;
	sent = left - latency;
	earliest = (__s64)left - handshake - PROMPT_MARGIN;
	if (!residence->is_at_once || earliest < sent)
		earliest = sent;
	if (!bound_phase(line, (__s64)left - handshake, earliest, residence))
		return 0;
	half = tick_length >> 1;
	stamped = half - phase_of(line, half, clock_shift(clock)) - sent;
	size = stamped < 0 ? -(__s64)stamped : stamped;
	if (size > (__s64)latency + 2 * tick_length)
		return 0;
	residence->is_believed = check_residence(clock, -(__s64)sent, (__s64)latency - handshake + sent, tick_length);
	residence->ticks = residence->is_at_once ? latency - handshake : stamped;
	residence->is_known = 1;
	return 0;
}

#endif
