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
	/* Of a TCP segment. */
	__u32 seq;
	/* From the IP header on. */
	__u32 ip_bytes;
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
	packet->seq = 0;
	packet->tcp_flags = 0;
	return 0;
}

static __always_inline enum inband_reason parse_ipv4(struct xdp_md *context, struct iphdr *ip, struct packet *packet)
{
	void *end = (void *)(long)context->data_end;
	__u64 frame_bytes;
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

#endif
