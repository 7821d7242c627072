/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <fcntl.h>
#include <node_api.h>
#include <sched.h>
#include <unistd.h>

/* setns(path): moves the calling thread to a network namespace. False when that failed. */
static napi_value enter(napi_env env, napi_callback_info info)
{
	napi_value argument, result;
	char path[256];
	size_t count = 1;
	int fd, err = -1;

	napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
	napi_get_value_string_utf8(env, argument, path, sizeof(path), NULL);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		err = setns(fd, CLONE_NEWNET);
		close(fd);
	}
	napi_get_boolean(env, !err, &result);
	return result;
}

NAPI_MODULE_INIT()
{
	napi_value function;

	napi_create_function(env, "setns", NAPI_AUTO_LENGTH, enter, NULL, &function);
	napi_set_named_property(env, exports, "setns", function);
	return exports;
}
