// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "addon.h"
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What libpcap knows of its sockets and no package of npm tells. */

/* Whether `fd` is a packet socket of that interface. */
static bool captures(int fd, int ifindex)
{
	struct sockaddr_ll address = {};
	socklen_t size = sizeof(address);

	return !getsockname(fd, (struct sockaddr *)&address, &size) && address.sll_family == AF_PACKET &&
	       address.sll_ifindex == ifindex;
}

/* Adds what a packet socket counted since it was last asked; the kernel counts from 0 again then. */
static void add_statistics(int fd, uint32_t *sums)
{
	struct tpacket_stats stats = {};
	socklen_t size = sizeof(stats);

	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
		return;
	sums[0] += stats.tp_packets;
	sums[1] += stats.tp_drops;
}

/*
 * packetStatistics(ifindex, out): frames that the packet sockets of this process on an interface accepted since the
 * last call, and those of them that had no room, into a Uint32Array.
 */
static napi_value packet_statistics(napi_env env, napi_callback_info info)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	napi_value values[2];
	uint32_t *sums;

	if (!directory)
		return fail(env, "packet statistics", errno);
	if (!arguments(env, info, 2, values)) {
		closedir(directory);
		return NULL;
	}
	sums = (uint32_t *)bytes_of(env, values[1]).data;
	sums[0] = sums[1] = 0;
	while ((entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (captures(fd, u32_of(env, values[0])))
			add_statistics(fd, sums);
	}
	closedir(directory);
	return NULL;
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
	{ "packetStatistics", packet_statistics },
	{ "offloads", offloads },
	{ NULL, NULL },
};
