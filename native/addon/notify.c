// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "addon.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Datagrams to a Unix socket, which Node does not have: how a service tells systemd about itself. See src/notify.ts. */

static int send_to(struct bytes address, struct bytes message)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int err = 0;
	int fd;

	/* One byte is left for the final zero of a path; an abstract name has none, and its length counts. */
	if (address.size == 0 || address.size >= sizeof(to.sun_path))
		return -EINVAL;
	memcpy(to.sun_path, address.data, address.size);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, message.data, message.size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to,
		   offsetof(struct sockaddr_un, sun_path) + address.size) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* datagramSend(address as in sun_path, message): does not wait; EAGAIN when the receiver has no room. */
static napi_value datagram_send(napi_env env, napi_callback_info info)
{
	napi_value values[2];
	int err;

	if (!arguments(env, info, 2, values))
		return NULL;
	err = send_to(bytes_of(env, values[0]), bytes_of(env, values[1]));
	return err ? fail(env, "datagram send", err) : NULL;
}

const struct binding notify_bindings[] = { { "datagramSend", datagram_send }, { NULL, NULL } };
