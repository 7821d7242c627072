// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "addon.h"
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Packet sockets: what libpcap knows of its own and no package of npm tells, and one to send frames with. */

/* Whether `fd` is a packet socket of that interface. */
static bool captures(int fd, int ifindex)
{
	struct sockaddr_ll address = {};
	socklen_t size = sizeof(address);

	return !getsockname(fd, (struct sockaddr *)&address, &size) && address.sll_family == AF_PACKET &&
	       address.sll_ifindex == ifindex;
}

/*
 * A packet socket that libpcap opened: found among the descriptors of this process, as no package hands it out. It is
 * looked at again at each use, and never closed here.
 */
struct packet_socket {
	struct handle handle;
	int fd;
	int ifindex;
};

static void packet_forget(struct handle *handle)
{
	((struct packet_socket *)handle)->fd = -1;
}

const struct handle_kind packet_kind = { packet_forget };

/* The newest packet socket of this process on an interface, or -errno. */
static int find_socket(int ifindex)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int found = -ENOENT;

	if (!directory)
		return -errno;
	while ((entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (fd > found && captures(fd, ifindex))
			found = fd;
	}
	closedir(directory);
	return found;
}

/* packetSocket(ifindex) */
static napi_value packet_socket(napi_env env, napi_callback_info info)
{
	const char *step = "packet socket";
	struct packet_socket *socket;
	napi_value argument;
	int ifindex, fd;

	if (!arguments(env, info, 1, &argument))
		return NULL;
	ifindex = (int)u32_of(env, argument);
	fd = find_socket(ifindex);
	if (fd < 0)
		return fail(env, step, -fd);
	socket = calloc(1, sizeof(*socket));
	if (!socket)
		return fail(env, step, ENOMEM);
	*socket = (struct packet_socket){ .handle.kind = &packet_kind, .fd = fd, .ifindex = ifindex };
	return new_handle(env, &socket->handle);
}

/*
 * packetStatistics(socket, out): frames that the socket accepted since the last call, and those of them that had no
 * room, into a Uint32Array; zeros when there is no such socket any more. The kernel counts from 0 again.
 */
static napi_value packet_statistics(napi_env env, napi_callback_info info)
{
	struct tpacket_stats stats = {};
	struct packet_socket *socket;
	socklen_t size = sizeof(stats);
	napi_value values[2];
	uint32_t *out;

	if (!arguments(env, info, 2, values))
		return NULL;
	socket = handle_of(env, values[0], &packet_kind, "packet statistics");
	if (!socket)
		return NULL;
	if (captures(socket->fd, socket->ifindex))
		getsockopt(socket->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
	out = (uint32_t *)bytes_of(env, values[1]).data;
	out[0] = stats.tp_packets;
	out[1] = stats.tp_drops;
	return NULL;
}

/*
 * packetFilter(socket, program): frames from now on are those that a classic BPF program lets pass, in place of the one
 * before; no frame sees neither or both. The program is the bytes of its instructions.
 */
static napi_value packet_filter(napi_env env, napi_callback_info info)
{
	const char *step = "packet filter";
	struct packet_socket *socket;
	struct sock_fprog program;
	struct bytes bytes;
	napi_value values[2];

	if (!arguments(env, info, 2, values))
		return NULL;
	socket = handle_of(env, values[0], &packet_kind, step);
	if (!socket)
		return NULL;
	bytes = bytes_of(env, values[1]);
	program = (struct sock_fprog){ .len = bytes.size / sizeof(struct sock_filter), .filter = (void *)bytes.data };
	if (!captures(socket->fd, socket->ifindex))
		return fail(env, step, ENODEV);
	if (setsockopt(socket->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		return fail(env, step, errno);
	return NULL;
}

/* A packet socket that only sends. */
struct sender {
	struct handle handle;
	int fd;
};

static void sender_close(struct handle *handle)
{
	close(((struct sender *)handle)->fd);
}

const struct handle_kind sender_kind = { sender_close };

/* packetOpen() */
static napi_value packet_open(napi_env env, napi_callback_info info)
{
	const char *step = "packet socket";
	struct sender *sender;
	int fd;

	if (!arguments(env, info, 0, NULL))
		return NULL;
	/* Of no protocol: nothing is received. */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(env, step, errno);
	sender = calloc(1, sizeof(*sender));
	if (!sender) {
		close(fd);
		return fail(env, step, ENOMEM);
	}
	*sender = (struct sender){ .handle.kind = &sender_kind, .fd = fd };
	return new_handle(env, &sender->handle);
}

/* Whether an error means that the interface cannot send now, or is no more. */
static bool is_busy(int err)
{
	return err == EAGAIN || err == ENOBUFS || err == ENETDOWN || err == ENXIO || err == ENODEV;
}

/* packetSend(sender, ifindex, frame): false while the interface cannot send. */
static napi_value packet_send(napi_env env, napi_callback_info info)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	const char *step = "packet send";
	struct sender *sender;
	struct bytes frame;
	napi_value values[3], sent;
	ssize_t size;

	if (!arguments(env, info, 3, values))
		return NULL;
	sender = handle_of(env, values[0], &sender_kind, step);
	if (!sender)
		return NULL;
	address.sll_ifindex = (int)u32_of(env, values[1]);
	frame = bytes_of(env, values[2]);
	size = sendto(sender->fd, frame.data, frame.size, 0, (struct sockaddr *)&address, sizeof(address));
	if (size < 0 && !is_busy(errno))
		return fail(env, step, errno);
	napi_get_boolean(env, size >= 0, &sent);
	return sent;
}

/* Offloads by the bit that offloads() reports them as. */
static const struct {
	uint32_t command, mask;
} offload_values[] = {
	{ ETHTOOL_GGRO, ~0u },
	{ ETHTOOL_GFLAGS, ETH_FLAG_LRO },
	{ ETHTOOL_GTSO, ~0u },
	{ ETHTOOL_GGSO, ~0u },
};

/* offloads(name): a bit for each of GRO, LRO, TSO and GSO that is on; an interface that does not say has none. */
static napi_value offloads(napi_env env, napi_callback_info info)
{
	struct ethtool_value value;
	struct ifreq request = { .ifr_data = (void *)&value };
	napi_value argument;
	uint32_t found = 0;
	char *name;
	int fd;

	if (!arguments(env, info, 1, &argument))
		return NULL;
	name = string_of(env, argument);
	if (!name)
		return fail(env, "offloads", ENOMEM);
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	free(name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(env, "offloads", errno);
	for (unsigned int i = 0; i < sizeof(offload_values) / sizeof(*offload_values); i++) {
		value = (struct ethtool_value){ .cmd = offload_values[i].command };
		if (!ioctl(fd, SIOCETHTOOL, &request) && value.data & offload_values[i].mask)
			found |= 1u << i;
	}
	close(fd);
	return new_u32(env, found);
}

const struct binding packet_bindings[] = {
	{ "packetSocket", packet_socket },
	{ "packetStatistics", packet_statistics },
	{ "packetFilter", packet_filter },
	{ "packetOpen", packet_open },
	{ "packetSend", packet_send },
	{ "offloads", offloads },
	{ NULL, NULL },
};
