/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_SIGNALS_H
#define INBAND_SIGNALS_H

#include "maps.h"

/* What packets tell of a backend beside latencies, as `SignalMemory` of src/latency/signal-memory.ts. */

/* 2^14 ticks in a bucket of the wheel. */
#define WHEEL_BUCKET_BITS 14

static __always_inline __u32 *wheel_at(struct inband_signals *counts, __u32 tick)
{
	return &counts->wheel[tick >> WHEEL_BUCKET_BITS & (INBAND_WHEEL_BUCKETS - 1)];
}

/* A request was sent at `tick`. */
static __always_inline void count_request(struct inband_signals *counts, __u32 tick)
{
	counts->requests++;
	counts->in_flight++;
	(*wheel_at(counts, tick))++;
}

/* The request that was sent at `from` went on until `to`. */
static __always_inline void move_request(struct inband_signals *counts, __u32 from, __u32 to)
{
	(*wheel_at(counts, from))--;
	(*wheel_at(counts, to))++;
}

/* The request that was sent at `tick` waits no longer, answered or not. */
static __always_inline void take_request(struct inband_signals *counts, __u32 tick)
{
	counts->in_flight--;
	(*wheel_at(counts, tick))--;
}

#endif
