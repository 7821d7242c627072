// SPDX-License-Identifier: Apache-2.0
/*
 * blast INTERFACE MAC VIP PORT RATE COUNT FLOWS
 *
 * Sends COUNT frames of 60 bytes from FLOWS clients, one after the other, out of INTERFACE to MAC: TCP segments with
 * data to VIP:PORT, RATE of them per second, or as many as there is time for at a rate of 0. Prints what was sent, what
 * the interface refused, and the time it took, as one line of JSON. Client N has address 10.128.0.0 + N / 32768.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "lab.h"

#define BATCH 32
#define PAYLOAD_BYTES 6
#define CLIENT_FIRST 0x0a800000u
#define PORT_FIRST 16384u
#define PORTS 32768u
#define FLOWS_MAX (PORTS * 65536ull)

struct frame {
	struct ether_header ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t payload[PAYLOAD_BYTES];
} __attribute__((packed));

static uint32_t add_words(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t at = 0; at < size; at += 2)
		sum += (uint32_t)(bytes[at] << 8 | bytes[at + 1]);
	return sum;
}

static uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void address_frame(struct frame *frame, uint64_t flow, uint32_t seq)
{
	uint32_t pseudo = IPPROTO_TCP + sizeof(frame->tcp) + PAYLOAD_BYTES;

	frame->ip.saddr = htonl(CLIENT_FIRST + (uint32_t)(flow / PORTS));
	frame->ip.check = 0;
	frame->ip.check = checksum(add_words(0, &frame->ip, sizeof(frame->ip)));
	frame->tcp.source = htons((uint16_t)(PORT_FIRST + flow % PORTS));
	frame->tcp.seq = htonl(seq);
	frame->tcp.check = 0;
	pseudo = add_words(pseudo, &frame->ip.saddr, 8);
	frame->tcp.check = checksum(add_words(pseudo, &frame->tcp, sizeof(frame->tcp) + PAYLOAD_BYTES));
}

static struct frame template_frame(const char *mac, const char *vip, const char *port)
{
	struct frame frame = {
		.ethernet = { .ether_shost = { 2, 0x77, 0, 9, 0, 1 }, .ether_type = htons(ETHERTYPE_IP) },
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP },
		.tcp = { .doff = 5, .ack = 1, .psh = 1, .window = htons(1024) },
	};
	uint8_t *to = frame.ethernet.ether_dhost;

	if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4, to + 5) != 6)
		die("'%s' is not a MAC address", mac);
	if (inet_pton(AF_INET, vip, &frame.ip.daddr) != 1)
		die("'%s' is not an IPv4 address", vip);
	frame.ip.tot_len = htons(sizeof(frame) - sizeof(frame.ethernet));
	frame.tcp.dest = htons((uint16_t)parse_integer(port, "port", 1, 65535));
	return frame;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name) };
	int bypass = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (!address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("bind to %s", name);
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass)))
		die("PACKET_QDISC_BYPASS");
	return fd;
}

int main(int argc, char **argv)
{
	static struct frame frames[BATCH];
	static struct iovec parts[BATCH];
	static struct mmsghdr messages[BATCH];
	uint64_t rate, count, flows, start, sent = 0, refused = 0, flow = 0;
	int fd;

	if (argc != 8)
		die("usage: blast INTERFACE MAC VIP PORT RATE COUNT FLOWS");
	rate = parse_integer(argv[5], "rate", 0, 100000000);
	count = parse_integer(argv[6], "count", 1, UINT64_MAX);
	flows = parse_integer(argv[7], "flows", 1, FLOWS_MAX);
	for (int i = 0; i < BATCH; i++) {
		frames[i] = template_frame(argv[2], argv[3], argv[4]);
		parts[i] = (struct iovec){ &frames[i], sizeof(frames[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	fd = open_interface(argv[1]);
	sleep_precisely();
	start = monotonic_ns();
	while (sent + refused < count) {
		uint64_t done = sent + refused;
		unsigned int batch = count - done < BATCH ? (unsigned int)(count - done) : BATCH;
		int taken;

		for (unsigned int i = 0; i < batch; i++, flow = flow + 1 == flows ? 0 : flow + 1)
			address_frame(&frames[i], flow, (uint32_t)((done + i) / flows * PAYLOAD_BYTES));
		if (rate)
			while (monotonic_ns() < start + done * NS_PER_S / rate)
				;
		taken = sendmmsg(fd, messages, batch, 0);
		sent += taken > 0 ? (uint64_t)taken : 0;
		refused += batch - (taken > 0 ? (unsigned int)taken : 0);
	}
	printf("{\"sent\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"ns\":%" PRIu64 "}\n", sent, refused,
	       monotonic_ns() - start);
	return 0;
}
