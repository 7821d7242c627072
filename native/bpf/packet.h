/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_PACKET_H
#define INBAND_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "inband.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_TIMESTAMPS 8
#define TCP_OPTION_BYTES_MAX 40

#define IP_OFFSET_BE bpf_htons(0x1fff)
#define IP_MORE_FRAGMENTS_BE bpf_htons(0x2000)

/* What is read of a TCP or UDP packet over IPv4. */
struct packet {
	__be32 client_addr;
	__be32 vip_addr;
	__be16 client_port;
	__be16 vip_port;
	__u8 proto;
	/* 0 for UDP. */
	__u8 tcp_flags;
	/* Of TCP's options. */
	__u8 option_bytes;
	/* Of a TCP segment. */
	__u32 seq;
	__u32 ack;
	/* From the IP header on. */
	__u32 ip_bytes;
	/* Behind the TCP or UDP header, as headers say; all of it is in the frame. */
	__u32 payload_bytes;
	/* Where the TCP or UDP header begins, from the frame's start on. */
	__u32 transport_at;
};

/* What a TCP segment's options say; 0 where they do not. */
struct options {
	__u32 ts_value;
	__u32 ts_echo;
	__u16 mss;
	__u8 has_timestamps;
	/* Where in the list parsing is: in memory of which the verifier knows nothing, it knows as little after each step. */
	__u8 at;
};

/* An Ethernet header, of which the kernel's own is packed: read and written byte by byte. */
struct ethernet {
	__be32 mac_addresses[3];
	__be16 type;
};

struct vlan_tag {
	__be16 identifier;
	__be16 type;
};

static __always_inline __u32 be32_at(const __u8 *bytes)
{
	return (__u32)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static __always_inline int is_vlan(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD) || type == bpf_htons(0x9100);
}

/* A header that does not fit into the packet is malformed; one in a later buffer of the frame cannot be read. */
static __always_inline enum inband_reason short_of(__u32 bytes, __u32 needed)
{
	return bytes < needed ? INBAND_REASON_MALFORMED : INBAND_REASON_TRUNCATED;
}

static __always_inline enum inband_reason parse_tcp(void *header, void *end, __u32 bytes, struct packet *packet)
{
	struct tcphdr *tcp = header;
	__u32 header_bytes;

	if ((void *)(tcp + 1) > end || bytes < sizeof(*tcp))
		return short_of(bytes, sizeof(*tcp));
	header_bytes = tcp->doff * 4;
	if (header_bytes < sizeof(*tcp) || header_bytes > bytes)
		return INBAND_REASON_MALFORMED;
	packet->client_port = tcp->source;
	packet->vip_port = tcp->dest;
	packet->seq = bpf_ntohl(tcp->seq);
	packet->ack = bpf_ntohl(tcp->ack_seq);
	packet->option_bytes = header_bytes - sizeof(*tcp);
	packet->payload_bytes = bytes - header_bytes;
	packet->tcp_flags = ((__u8 *)tcp)[13];
	return 0;
}

static __always_inline enum inband_reason parse_udp(void *header, void *end, __u32 bytes, int more_fragments,
						    struct packet *packet)
{
	struct udphdr *udp = header;
	__u32 udp_bytes;

	if ((void *)(udp + 1) > end || bytes < sizeof(*udp))
		return short_of(bytes, sizeof(*udp));
	udp_bytes = bpf_ntohs(udp->len);
	/* 0 is a jumbogram; a first fragment states the length of the whole datagram. */
	if (!udp_bytes || (more_fragments && udp_bytes > bytes))
		udp_bytes = bytes;
	if (udp_bytes < sizeof(*udp) || udp_bytes > bytes)
		return INBAND_REASON_MALFORMED;
	packet->client_port = udp->source;
	packet->vip_port = udp->dest;
	packet->seq = packet->ack = 0;
	packet->option_bytes = 0;
	packet->payload_bytes = udp_bytes - sizeof(*udp);
	packet->tcp_flags = 0;
	return 0;
}

static __always_inline enum inband_reason parse_ipv4(struct xdp_md *context, struct iphdr *ip, struct packet *packet)
{
	void *end = (void *)(long)context->data_end;
	__u64 frame_bytes, at;
	__u32 header_bytes, bytes;
	void *next;

	if ((void *)(ip + 1) > end)
		return INBAND_REASON_MALFORMED;
	header_bytes = ip->ihl * 4;
	if (ip->version != 4 || header_bytes < sizeof(*ip))
		return INBAND_REASON_MALFORMED;
	frame_bytes = end - (void *)ip;
	bytes = bpf_ntohs(ip->tot_len);
	if (!bytes || bytes > frame_bytes) {
		/* A frame in several buffers is longer than the first of them. */
		frame_bytes = bpf_xdp_get_buff_len(context) - (__u64)((void *)ip - (void *)(long)context->data);
		/* Segmentation offload writes 0 where 16 bits do not suffice. */
		if (!bytes)
			bytes = frame_bytes;
	}
	if (bytes < header_bytes || bytes > frame_bytes)
		return INBAND_REASON_MALFORMED;
	if (ip->frag_off & IP_OFFSET_BE)
		return INBAND_REASON_FRAGMENT;
	packet->client_addr = ip->saddr;
	packet->vip_addr = ip->daddr;
	packet->proto = ip->protocol;
	packet->ip_bytes = bytes;
	bytes -= header_bytes;
	next = (void *)ip + header_bytes;
	/* The verifier knows what was checked of a pointer, not of one computed again. */
	barrier_var(next);
	at = next - (void *)(long)context->data;
	barrier_var(at);
	packet->transport_at = at;
	if (packet->proto == IPPROTO_TCP)
		return parse_tcp(next, end, bytes, packet);
	if (packet->proto == IPPROTO_UDP)
		return parse_udp(next, end, bytes, !!(ip->frag_off & IP_MORE_FRAGMENTS_BE), packet);
	return INBAND_REASON_NOT_TCP_OR_UDP;
}

/* Skips VLAN tags: gives where the header after them begins, and its type; NULL where the frame ends before. */
static __always_inline void *skip_tags(void *next, void *end, __be16 *type)
{
	for (int tags = 0; tags < INBAND_VLAN_TAGS_MAX && is_vlan(*type); tags++) {
		struct vlan_tag *tag = next;

		next = tag + 1;
		if (next > end)
			return NULL;
		*type = tag->type;
	}
	return next;
}

/* Where the IP header of a frame begins that was parsed; 0 if it cannot be found again. */
static __always_inline __u32 ip_place(struct xdp_md *context)
{
	void *start = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct ethernet *ethernet = start;
	void *next = start + ETH_HLEN;
	__be16 type;

	if (next > end)
		return 0;
	type = ethernet->type;
	next = skip_tags(next, end, &type);
	return next ? next - start : 0;
}

/* Reads an Ethernet frame as `Packet.decode` of src/net/packet.ts does. 0 when `packet` was filled, else why not. */
static __always_inline enum inband_reason parse(struct xdp_md *context, struct packet *packet)
{
	void *end = (void *)(long)context->data_end;
	struct ethernet *ethernet = (void *)(long)context->data;
	void *next = (void *)ethernet + ETH_HLEN;
	__be16 type;

	if (next > end)
		return INBAND_REASON_TRUNCATED;
	type = ethernet->type;
	if (type != bpf_htons(ETH_P_IP)) {
		next = skip_tags(next, end, &type);
		if (!next)
			return INBAND_REASON_TRUNCATED;
		if (type == bpf_htons(ETH_P_IPV6))
			return INBAND_REASON_IPV6;
		if (type != bpf_htons(ETH_P_IP))
			return is_vlan(type) ? INBAND_REASON_MALFORMED : INBAND_REASON_NOT_IP;
	}
	return parse_ipv4(context, next, packet);
}

/* Options that are more than timestamps alone. Those cut off or malformed end the list (RFC 9293, 3.2). */
__noinline int parse_options(struct xdp_md *context, __u32 at, __u32 bytes, struct options *options)
{
	__u8 list[TCP_OPTION_BYTES_MAX + 12] = {};

	if (!options || !bytes || bytes > TCP_OPTION_BYTES_MAX || bpf_xdp_load_bytes(context, at, list, bytes))
		return -1;
	for (int step = 0; step < TCP_OPTION_BYTES_MAX; step++) {
		__u32 i = *(volatile __u8 *)&options->at, size;

		if (i >= bytes || i >= TCP_OPTION_BYTES_MAX || !list[i])
			break;
		size = list[i] == TCP_OPTION_NOP ? 1 : list[i + 1];
		if (list[i] != TCP_OPTION_NOP && (size < 2 || i + size > bytes))
			break;
		if (list[i] == TCP_OPTION_MSS && size == 4) {
			options->mss = list[i + 2] << 8 | list[i + 3];
		} else if (list[i] == TCP_OPTION_TIMESTAMPS && size == 10) {
			options->has_timestamps = 1;
			options->ts_value = be32_at(list + i + 2);
			options->ts_echo = be32_at(list + i + 6);
		}
		*(volatile __u8 *)&options->at = i + size;
	}
	return 0;
}

/* What the options of a TCP segment say, as `Packet.decode` of src/net/packet.ts does. */
static __always_inline void read_options(struct xdp_md *context, const struct packet *packet, struct options *options)
{
	__u32 at = (packet->transport_at & 0xff) + sizeof(struct tcphdr);
	void *end = (void *)(long)context->data_end;
	__be32 *words;

	__builtin_memset(options, 0, sizeof(*options));
	if (!packet->option_bytes)
		return;
	words = (void *)(long)context->data + at;
	/* Nearly every segment with options carries just NOP NOP timestamps. */
	if (packet->option_bytes == 12 && (void *)(words + 3) <= end && words[0] == bpf_htonl(0x0101080a)) {
		options->has_timestamps = 1;
		options->ts_value = bpf_ntohl(words[1]);
		options->ts_echo = bpf_ntohl(words[2]);
		return;
	}
	parse_options(context, at, packet->option_bytes, options);
}

#endif
