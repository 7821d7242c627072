/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_WLAG_H
#define INBAND_WLAG_H

#include "maps.h"

/* Latencies of flows that send several messages in one segment: the same as src/latency/wlag.ts. */

/* Segments found again before the next one is believed. */
#define WLAG_TRUSTED 4
#define WLAG_TRUST_MAX 8

/* From here on messages of this flow are not counted any more. */
static __always_inline void begin_wlag(struct inband_flow *line)
{
	line->flags |= INBAND_TCP_MERGED;
	line->probe_bytes = 0;
	line->trust &= ~INBAND_TRUST_MAX;
}

/* The segment awaited was sent again, or another is missing. */
static __always_inline void drop_probe(struct inband_flow *line)
{
	if (line->flags & INBAND_TCP_MERGED)
		line->probe_bytes = 0;
}

/* The ACK number advanced. */
static __always_inline void advance_wlag(struct inband_flow *line, __u32 tick)
{
	if (line->flags & INBAND_TCP_ADVANCED)
		return;
	line->flags |= INBAND_TCP_ADVANCED;
	line->advance_tick = tick;
}

/* New data was sent: the latency of the segment that was awaited, negative if it is not known. */
static __always_inline __s32 observe_wlag(struct inband_flow *line, __u32 seq, __u32 bytes, __u32 tick)
{
	__u32 flight = line->flight_bytes_max, awaited = line->probe_bytes;
	__u32 trust = line->trust & INBAND_TRUST_MAX;
	__s32 latency = -1;

	line->flags &= ~INBAND_TCP_ADVANCED;
	if (awaited) {
		__s32 reached = seq - flight + (flight >> 5) - line->probe_seq;

		if (reached < 0)
			return -1;
		if (reached < (__s32)awaited && (line->flags & (INBAND_TCP_EAGER | INBAND_TCP_TAINTED)) == INBAND_TCP_EAGER) {
			if (trust < WLAG_TRUST_MAX)
				line->trust++;
			if (trust >= WLAG_TRUSTED)
				latency = line->advance_tick - line->probe_tick;
		} else if (trust) {
			line->trust--;
		}
	}
	line->probe_seq = seq;
	line->probe_bytes = bytes;
	line->probe_tick = tick;
	return latency;
}

#endif
