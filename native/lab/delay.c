// SPDX-License-Identifier: Apache-2.0
/*
 * Delay line: carries frames from one interface to another, each a settable time after it arrived.
 *
 * The kernel's receive ring is the queue: a frame stays where it was received until it is due, so order is
 * kept and nothing is copied. Frames the other way are carried at once; they are few (ARP replies), since the
 * lab's servers answer clients through an interface of their own.
 *
 *   delay CONTROL_FILE FROM TO FRAMES
 */
#define _GNU_SOURCE
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <arpa/inet.h>

#include "lab.h"

/* One MTU of 1500 with its headers and the ring's own; a power of two as the ring demands. */
#define FRAME_BYTES 2048u
#define BLOCK_BYTES (64u * 1024)
#define FRAMES_MAX 65536u
/* A changed delay is noticed after at most this long. */
#define NAP_NS NS_PER_MS
/*
 * A virtual CPU that has been idle takes 10 to 30 us to wake up. After a long sleep the line wakes that much early
 * and polls the clock; not after short ones, since at high rates it would do nothing else.
 */
#define LONG_SLEEP_NS (100 * NS_PER_US)
#define WAKE_UP_NS (30 * NS_PER_US)

/* Mapped by this program, written and read as a file by the lab. Native byte order. */
struct control {
	uint64_t delay_ns; /* written by the lab */
	uint64_t ready;    /* 1 once frames are carried */
	uint64_t forwarded;
	uint64_t dropped; /* ring full, frame too long, or refused by the other interface */
};

static struct control *control;

static int packet_socket(void)
{
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("packet socket");
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		die("packet socket options");
	return fd;
}

static void bind_to(int fd, const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};

	if (!address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("interface %s", interface);
}

static uint8_t *receive_ring(int fd, unsigned int frames)
{
	struct tpacket_req request = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = frames / (BLOCK_BYTES / FRAME_BYTES),
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = frames,
	};
	int version = TPACKET_V2;
	uint8_t *ring;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)))
		die("receive ring of %u frames", frames);
	ring = mmap(NULL, (size_t)frames * FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		die("mmap of the receive ring");
	return ring;
}

struct line {
	int from, to;
};

/* A port that is set down ends a wait with ENETDOWN; the line works again when it comes back. */
static void *carry_back(void *argument)
{
	const struct line *line = argument;
	uint8_t frame[FRAME_BYTES];

	for (;;) {
		ssize_t length = recv(line->to, frame, sizeof(frame), MSG_TRUNC);

		if (length < 0) {
			if (errno != ENETDOWN && errno != EINTR)
				die("receive");
			continue;
		}
		if ((size_t)length > sizeof(frame) || send(line->from, frame, (size_t)length, 0) < 0)
			__atomic_add_fetch(&control->dropped, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void wait_for_frame(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	socklen_t size = sizeof(int);
	int error;

	poll(&readable, 1, -1);
	if (readable.revents & POLLERR) /* reading the error clears it; poll would return at once for ever */
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

/*
 * The kernel stamps frames with the wall clock. The stamp is used only as an age, so that a step of the wall
 * clock cannot hold a frame for longer than the delay.
 */
static uint64_t arrival_ns(const struct tpacket2_hdr *frame)
{
	uint64_t stamped = (uint64_t)frame->tp_sec * NS_PER_S + frame->tp_nsec;
	uint64_t wall = clock_ns(CLOCK_REALTIME);

	return monotonic_ns() - (wall > stamped ? wall - stamped : 0);
}

static void wait_until_due(const struct tpacket2_hdr *frame)
{
	uint64_t arrived = arrival_ns(frame);
	int is_early = 0;

	for (;;) {
		uint64_t due = arrived + __atomic_load_n(&control->delay_ns, __ATOMIC_RELAXED);
		uint64_t now = monotonic_ns(), wait = due - now;

		if (now >= due)
			return;
		if (is_early && wait <= WAKE_UP_NS)
			continue;
		is_early = wait > LONG_SLEEP_NS;
		if (wait > NAP_NS)
			sleep_until_ns(now + NAP_NS);
		else
			sleep_until_ns(is_early ? due - WAKE_UP_NS : due);
	}
}

/* Without it, whoever else wants the CPU adds milliseconds to some frames. */
static void run_before_others(void)
{
	struct sched_param first = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &first))
		fprintf(stderr, "no real-time priority (%s): delays will vary more\n", strerror(errno));
}

/* Frames that found the ring full; reading the kernel's counter clears it. */
static uint64_t overflow_count(int fd)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	return getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) ? 0 : stats.tp_drops;
}

static void carry(const struct line *line, uint8_t *ring, unsigned int frames)
{
	for (unsigned int head = 0;; head = (head + 1) % frames) {
		struct tpacket2_hdr *frame = (void *)(ring + (size_t)head * FRAME_BYTES);
		uint64_t drops = 0;
		uint32_t status;

		while (!((status = __atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE)) & TP_STATUS_USER))
			wait_for_frame(line->from);
		wait_until_due(frame);
		if (frame->tp_snaplen < frame->tp_len ||
		    send(line->to, (uint8_t *)frame + frame->tp_mac, frame->tp_snaplen, 0) < 0)
			drops = 1;
		else
			__atomic_add_fetch(&control->forwarded, 1, __ATOMIC_RELAXED);
		if (status & TP_STATUS_LOSING)
			drops += overflow_count(line->from);
		if (drops)
			__atomic_add_fetch(&control->dropped, drops, __ATOMIC_RELAXED);
		__atomic_store_n(&frame->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
}

int main(int argc, char **argv)
{
	const unsigned int frames_per_block = BLOCK_BYTES / FRAME_BYTES;
	struct line line;
	unsigned int frames;
	pthread_t thread;
	uint8_t *ring;

	if (argc != 5) {
		fprintf(stderr, "usage: delay CONTROL_FILE FROM TO FRAMES\n");
		return 2;
	}
	frames = (unsigned int)parse_integer(argv[4], "frames", frames_per_block, FRAMES_MAX);
	frames -= frames % frames_per_block;
	control = map_control(argv[1], sizeof(*control));
	sleep_precisely();
	line = (struct line){ .from = packet_socket(), .to = packet_socket() };
	ring = receive_ring(line.from, frames); /* before the socket is bound: early frames would miss the ring */
	bind_to(line.from, argv[2]);
	bind_to(line.to, argv[3]);
	errno = pthread_create(&thread, NULL, carry_back, &line);
	if (errno)
		die("thread");
	run_before_others();
	__atomic_store_n(&control->ready, 1, __ATOMIC_RELEASE);
	carry(&line, ring, frames);
}
