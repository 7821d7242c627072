/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_RESET_H
#define INBAND_RESET_H

#include "packet.h"

/* A RST in the name of a vip: the same as `resetOf` of src/net/reset.ts. */

#define RESET_TTL 64
#define RESET_BYTES (sizeof(struct iphdr) + sizeof(struct tcphdr))
#define IP_DONT_FRAGMENT_BE bpf_htons(0x4000)

struct reset {
	struct iphdr ip;
	struct tcphdr tcp;
};

/* The Internet checksum of words that were added up (RFC 1071). */
static __always_inline __u16 finish_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __u32 sum_words(__u32 sum, const void *words, __u32 bytes)
{
	const __u16 *word = words;

	for (__u32 i = 0; i < bytes / 2; i++)
		sum += word[i];
	return sum;
}

/* What a connection that does not exist answers to a segment (RFC 9293, 3.10.7.1). */
static __always_inline void fill_reset(struct reset *reset, const struct packet *packet)
{
	__u32 sum;

	reset->ip.version = 4;
	reset->ip.ihl = 5;
	reset->ip.tot_len = bpf_htons(RESET_BYTES);
	reset->ip.frag_off = IP_DONT_FRAGMENT_BE;
	reset->ip.ttl = RESET_TTL;
	reset->ip.protocol = IPPROTO_TCP;
	reset->ip.saddr = packet->vip_addr;
	reset->ip.daddr = packet->client_addr;
	reset->ip.check = finish_sum(sum_words(0, &reset->ip, sizeof(reset->ip)));
	reset->tcp.source = packet->vip_port;
	reset->tcp.dest = packet->client_port;
	reset->tcp.doff = 5;
	reset->tcp.rst = 1;
	if (packet->tcp_flags & TCP_ACK) {
		reset->tcp.seq = bpf_htonl(packet->ack);
	} else {
		__u32 bytes = packet->payload_bytes + !!(packet->tcp_flags & TCP_SYN) + !!(packet->tcp_flags & TCP_FIN);

		reset->tcp.ack = 1;
		reset->tcp.ack_seq = bpf_htonl(packet->seq + bytes);
	}
	sum = sum_words(0, &reset->ip.saddr, 8) + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(reset->tcp));
	reset->tcp.check = finish_sum(sum_words(sum, &reset->tcp, sizeof(reset->tcp)));
}

/* Turns a frame into one that answers it, behind the same VLAN tags. 0 when that was possible. */
__noinline int answer_reset(struct xdp_md *context, const struct packet *packet)
{
	struct reset reset = {};
	struct ethernet *ethernet;
	__be32 first, second, third;
	__u32 at;
	int more;

	if (!packet)
		return -1;
	at = ip_place(context);
	more = at + RESET_BYTES - bpf_xdp_get_buff_len(context);
	if (!at || more > 0 || bpf_xdp_adjust_tail(context, more))
		return -1;
	fill_reset(&reset, packet);
	if (bpf_xdp_store_bytes(context, at, &reset, sizeof(reset)))
		return -1;
	ethernet = (void *)(long)context->data;
	if ((void *)ethernet + ETH_HLEN > (void *)(long)context->data_end)
		return -1;
	/* Of the three words, addresses begin in the first and in the middle of the second. */
	first = ethernet->mac_addresses[0];
	second = ethernet->mac_addresses[1];
	third = ethernet->mac_addresses[2];
	ethernet->mac_addresses[0] = second >> 16 | third << 16;
	ethernet->mac_addresses[1] = third >> 16 | first << 16;
	ethernet->mac_addresses[2] = first >> 16 | second << 16;
	return 0;
}

#endif
