// SPDX-License-Identifier: Apache-2.0
/*
 * decap
 *
 * What a tunnel device does at a server behind IP-in-IP, where the kernel has none: takes the outer header off each
 * packet of protocol 4 that arrives, and hands the packet inside to this machine by its loopback interface.
 */
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include "lab.h"

#define PACKET_BYTES_MAX 65536

int main(void)
{
	static uint8_t memory[ETHER_HDR_LEN + PACKET_BYTES_MAX];
	struct sockaddr_ll loopback = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE_IP),
		.sll_ifindex = (int)if_nametoindex("lo"),
	};
	int outside = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_IPIP);
	int inside = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (outside < 0 || inside < 0)
		die("socket");
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t size = recv(outside, memory + ETHER_HDR_LEN, PACKET_BYTES_MAX, 0);
		struct iphdr *outer = (struct iphdr *)(memory + ETHER_HDR_LEN);
		struct ether_header *ethernet;

		if (size < 0)
			die("recv");
		if ((size_t)size < sizeof(*outer) || (size_t)size < outer->ihl * 4u + sizeof(*outer))
			continue;
		/* The header of the loopback's frame goes where the outer header ends. */
		ethernet = (struct ether_header *)((uint8_t *)outer + outer->ihl * 4u - ETHER_HDR_LEN);
		size += ETHER_HDR_LEN - outer->ihl * 4;
		memset(ethernet, 0, ETHER_HDR_LEN);
		ethernet->ether_type = htons(ETHERTYPE_IP);
		if (sendto(inside, ethernet, (size_t)size, 0, (struct sockaddr *)&loopback, sizeof(loopback)) < 0)
			die("send");
	}
}
