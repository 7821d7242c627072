/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_QUIC_H
#define INBAND_QUIC_H

#include "maps.h"
#include "packet.h"

/* `quic`: from the first Initial to the answer, and a spin bit that is alive; the same as src/latency/quic.ts. */

#define QUIC_TICKS_MAX (1 << 25)
#define FLIGHT_TICKS_MAX (1 << 19)
#define SPIN_PERIODS_MIN 3
#define INITIAL_BYTES_MIN 1200
#define ID_BYTES_MAX 20
/* Up to the first byte of a token's length, behind two of the longest connection IDs. */
#define QUIC_HEAD_BYTES 48

#define QUIC_INITIAL_TYPE 0
#define QUIC_HANDSHAKE_TYPE 2

/* A long header, as far as the packet has it. */
struct quic_head {
	__u32 version;
	/* First bytes of the destination's connection ID. */
	__u32 id;
	/* As version 1 numbers it; -1 for none. */
	__s32 type;
	/* 1 if there is one, 0 if not, -1 if there is no telling. */
	__s32 token;
	/* -1 where it is missing. */
	__s32 id_length;
	__u32 first;
};

static __always_inline __s32 quic_type(__u32 first, __u32 version)
{
	__u32 bits = first >> 4 & 3;

	if (first < 0x80)
		return -1;
	/* Drafts 22 to 34 have the header of version 1. */
	if (version == 1 || (version >= 0xff000016 && version <= 0xff000022))
		return bits;
	return version == 0x6b3343cf ? (__s32)((bits + 3) & 3) : -1;
}

/* Reads a long header. Negative if the packet has no payload. */
__noinline int read_quic(struct xdp_md *context, __u32 at, __u32 bytes, struct quic_head *head)
{
	__u8 data[QUIC_HEAD_BYTES] = {};
	__u32 destination, source, length_at;

	if (!head || !bytes)
		return -1;
	if (bytes > QUIC_HEAD_BYTES)
		bytes = QUIC_HEAD_BYTES;
	if (bpf_xdp_load_bytes(context, at, data, bytes))
		return -1;
	head->first = data[0];
	head->version = bytes >= 5 ? be32_at(data + 1) : 0;
	head->type = quic_type(data[0], head->version);
	head->id_length = bytes >= 6 ? data[5] : -1;
	head->id = bytes >= 10 ? be32_at(data + 6) : 0;
	head->token = -1;
	destination = data[5];
	if (bytes < 6 || destination > ID_BYTES_MAX || 6 + destination >= bytes)
		return 0;
	source = data[6 + destination];
	length_at = 7 + destination + source;
	if (source > ID_BYTES_MAX || length_at >= bytes || length_at >= QUIC_HEAD_BYTES)
		return 0;
	head->token = !!data[length_at];
	return 0;
}

static __always_inline __u32 payload_at(const struct packet *packet)
{
	return packet->transport_at + sizeof(struct udphdr);
}

static __always_inline void open_quic(struct xdp_md *context, struct inband_flow *line, const struct packet *packet,
				      __u32 tick)
{
	struct quic_head head = {};

	line->quic_state = INBAND_QUIC_SILENT;
	/* A client's first packet is padded and has the fixed bit (RFC 9000, 14.1 and 17.2). */
	if (packet->proto != IPPROTO_UDP || packet->payload_bytes < INITIAL_BYTES_MIN ||
	    read_quic(context, payload_at(packet), packet->payload_bytes, &head) || (head.first & 0xc0) != 0xc0 ||
	    head.type != QUIC_INITIAL_TYPE || head.token < 0)
		return;
	line->quic_state = INBAND_QUIC_INITIAL;
	line->quic_version = head.version;
	line->quic_time = tick;
	line->quic_id_length = head.id_length;
	line->quic_id = head.id;
	line->quic_flags = head.token ? INBAND_QUIC_TOKEN : 0;
	line->quic_periods = 0;
}

/* Takes in a plausible period of the spin bit; whether it and those before agree. */
static __always_inline int is_alive(struct inband_flow *line, __s32 period)
{
	__s32 mean = line->quic_mean, off = period - mean;

	if (line->quic_periods && period >> 2 > mean) {
		line->quic_periods = 0;
		return 0;
	}
	if (!line->quic_periods) {
		line->quic_periods = 1;
		line->quic_mean = period;
		line->quic_deviation = period >> 1;
		return 0;
	}
	line->quic_deviation += ((off < 0 ? -off : off) - line->quic_deviation) >> 2;
	line->quic_mean = mean + (off >> 2);
	if (line->quic_periods < SPIN_PERIODS_MIN)
		line->quic_periods++;
	return line->quic_periods == SPIN_PERIODS_MIN && 8 * line->quic_deviation <= 3 * line->quic_mean;
}

/* The spin bit of a packet with a short header: a sample in ticks, negative without one. */
static __always_inline __s32 observe_spin(struct inband_flow *line, __u8 value, __u32 tick)
{
	__u8 flags = line->quic_flags;
	__s32 period = tick - line->quic_time;

	if (flags & INBAND_QUIC_VALUE_KNOWN && (flags & INBAND_QUIC_SPIN) == value)
		return -1;
	/* The first value seen is no turn. */
	line->quic_flags = value | INBAND_QUIC_VALUE_KNOWN | (flags & INBAND_QUIC_VALUE_KNOWN ? INBAND_QUIC_TURN_KNOWN : 0);
	line->quic_time = tick;
	if (!(flags & INBAND_QUIC_TURN_KNOWN))
		return -1;
	if (period <= 0 || period >= QUIC_TICKS_MAX || 2 * period < line->quic_handshake) {
		line->quic_periods = 0;
		return -1;
	}
	return is_alive(line, period) ? period : -1;
}

/* A long header while the server has not been seen to answer: a sample in ticks, negative without one. */
__noinline int observe_long(struct inband_flow *line, const struct quic_head *head, __u32 tick)
{
	__s32 elapsed;
	int is_sample;

	if (!line || !head)
		return -1;
	elapsed = tick - line->quic_time;
	if (head->version != line->quic_version) {
		/* Version negotiation, or a server that chose another version: a round trip more than one. */
		line->quic_state = INBAND_QUIC_SILENT;
		return -1;
	}
	if (head->type == QUIC_INITIAL_TYPE) {
		if (head->id_length == line->quic_id_length && head->id == line->quic_id) {
			if (elapsed > FLIGHT_TICKS_MAX)
				line->quic_flags |= INBAND_QUIC_AMBIGUOUS;
			line->quic_time = tick;
			return -1;
		}
		/* A Retry is answered by the Initial with the token it gave; of a client that had one before, one does not know. */
		if (head->token || line->quic_flags & INBAND_QUIC_TOKEN) {
			line->quic_flags |= INBAND_QUIC_AMBIGUOUS;
			line->quic_id_length = head->id_length;
			line->quic_id = head->id;
			line->quic_time = tick;
			return -1;
		}
	} else if (head->type != QUIC_HANDSHAKE_TYPE) {
		return -1;
	}
	line->quic_state = elapsed > 0 && elapsed < QUIC_TICKS_MAX ? INBAND_QUIC_SPINNING : INBAND_QUIC_SILENT;
	line->quic_handshake = elapsed;
	is_sample = line->quic_state == INBAND_QUIC_SPINNING && !(line->quic_flags & INBAND_QUIC_AMBIGUOUS);
	line->quic_flags = 0;
	return is_sample ? elapsed : -1;
}

/* One more packet of a flow: the sample in ticks that it completes, negative without one. */
static __always_inline __s32 observe_quic(struct xdp_md *context, struct inband_flow *line, const struct packet *packet,
					  __u32 tick)
{
	__u8 first;

	if (line->quic_state == INBAND_QUIC_SILENT || !packet->payload_bytes ||
	    bpf_xdp_load_bytes(context, payload_at(packet), &first, 1))
		return -1;
	if (first < 0x80)
		return line->quic_state == INBAND_QUIC_SPINNING ? observe_spin(line, first & INBAND_QUIC_SPIN, tick) : -1;
	if (line->quic_state == INBAND_QUIC_INITIAL) {
		struct quic_head head = {};

		if (!read_quic(context, payload_at(packet), packet->payload_bytes, &head))
			return observe_long(line, &head, tick);
	}
	return -1;
}

#endif
