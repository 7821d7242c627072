// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * A lock by a name: a listening Unix socket in the abstract namespace, of which each network namespace has its own. It
 * is free again when its holder ends, however that happens. Nobody accepts; who connects is told the holder's process.
 */
struct lock {
	struct handle handle;
	int fd;
};

static void lock_close(struct handle *handle)
{
	close(((struct lock *)handle)->fd);
}

const struct handle_kind lock_kind = { lock_close };

/* A socket, and the address that the name stands for; -errno when there can be none. */
static int socket_for(napi_env env, napi_value value, struct sockaddr_un *address, socklen_t *size)
{
	char *name = string_of(env, value);
	size_t length;
	int fd;

	if (!name)
		return -ENOMEM;
	length = strlen(name);
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (length < sizeof(address->sun_path))
		memcpy(address->sun_path + 1, name, length);
	free(name);
	if (length >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	*size = offsetof(struct sockaddr_un, sun_path) + 1 + length;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

/* lockTake(name): fails with EADDRINUSE while another process, or this one, holds it. */
static napi_value lock_take(napi_env env, napi_callback_info info)
{
	const char *step = "lock socket";
	struct sockaddr_un address;
	struct lock *lock;
	napi_value value;
	socklen_t size;
	int fd, err;

	if (!arguments(env, info, 1, &value))
		return NULL;
	fd = socket_for(env, value, &address, &size);
	if (fd < 0)
		return fail(env, step, fd);
	lock = calloc(1, sizeof(*lock));
	if (!lock || bind(fd, (struct sockaddr *)&address, size) || listen(fd, SOMAXCONN)) {
		err = lock ? errno : ENOMEM;
		free(lock);
		close(fd);
		return fail(env, step, err);
	}
	lock->fd = fd;
	lock->handle.kind = &lock_kind;
	return new_handle(env, &lock->handle);
}

/* lockHolder(name): the process that holds a lock; 0 when none does, or it cannot be seen from here. */
static napi_value lock_holder(napi_env env, napi_callback_info info)
{
	struct sockaddr_un address;
	struct ucred holder = {};
	napi_value value;
	socklen_t size;
	int fd;

	if (!arguments(env, info, 1, &value))
		return NULL;
	fd = socket_for(env, value, &address, &size);
	if (fd < 0)
		return fail(env, "lock socket", fd);
	if (!connect(fd, (struct sockaddr *)&address, size)) {
		size = sizeof(holder);
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &holder, &size);
	}
	close(fd);
	return new_u32(env, holder.pid);
}

const struct binding lock_bindings[] = { { "lockTake", lock_take }, { "lockHolder", lock_holder }, { NULL, NULL } };
