// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "addon.h"
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A route netlink socket, which Node does not have. Messages are written and read in src/datapath/xdp/netlink.ts. */
struct netlink {
	struct handle handle;
	int fd;
};

static void netlink_close(struct handle *handle)
{
	close(((struct netlink *)handle)->fd);
}

const struct handle_kind netlink_kind = { netlink_close };

static int open_socket(uint32_t groups)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* netlinkOpen(groups): RTMGRP_* to be told of. */
static napi_value netlink_open(napi_env env, napi_callback_info info)
{
	const char *step = "netlink socket";
	struct netlink *netlink;
	napi_value value;
	int fd;

	if (!arguments(env, info, 1, &value))
		return NULL;
	netlink = calloc(1, sizeof(*netlink));
	if (!netlink)
		return fail(env, step, ENOMEM);
	fd = open_socket(u32_of(env, value));
	if (fd < 0) {
		free(netlink);
		return fail(env, step, fd);
	}
	netlink->fd = fd;
	netlink->handle.kind = &netlink_kind;
	return new_handle(env, &netlink->handle);
}

/* netlinkSend(socket, message) */
static napi_value netlink_send(napi_env env, napi_callback_info info)
{
	const char *step = "netlink send";
	struct netlink *netlink;
	struct bytes message;
	napi_value values[2];

	if (!arguments(env, info, 2, values))
		return NULL;
	netlink = handle_of(env, values[0], &netlink_kind, step);
	if (!netlink)
		return NULL;
	message = bytes_of(env, values[1]);
	return send(netlink->fd, message.data, message.size, 0) < 0 ? fail(env, step, errno) : NULL;
}

/* Size of the datagram put into `out`; 0 when none came in time; -EMSGSIZE when it was too large and is lost. */
static long receive(int fd, struct bytes out, int wait_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t size;

	if (wait_ms && poll(&ready, 1, wait_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	size = recv(fd, out.data, out.size, MSG_DONTWAIT | MSG_TRUNC);
	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return (size_t)size > out.size ? -EMSGSIZE : size;
}

/* netlinkReceive(socket, out, wait in ms): bytes used, 0 when nothing came. */
static napi_value netlink_receive(napi_env env, napi_callback_info info)
{
	const char *step = "netlink receive";
	struct netlink *netlink;
	napi_value values[3];
	long size;

	if (!arguments(env, info, 3, values))
		return NULL;
	netlink = handle_of(env, values[0], &netlink_kind, step);
	if (!netlink)
		return NULL;
	size = receive(netlink->fd, bytes_of(env, values[1]), u32_of(env, values[2]));
	return size < 0 ? fail(env, step, size) : new_u32(env, size);
}

const struct binding netlink_bindings[] = {
	{ "netlinkOpen", netlink_open },
	{ "netlinkSend", netlink_send },
	{ "netlinkReceive", netlink_receive },
	{ NULL, NULL },
};
