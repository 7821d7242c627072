// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#define _GNU_SOURCE
#include "addon.h"
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Per thread, as libbpf prints on the thread that calls it and worker threads have addons of their own. */
static _Thread_local char log_tail[LOG_TAIL_BYTES];
static _Thread_local size_t log_size;

static void log_append(const char *text, size_t size)
{
	if (size > sizeof(log_tail)) {
		text += size - sizeof(log_tail);
		size = sizeof(log_tail);
	}
	if (log_size + size > sizeof(log_tail)) {
		size_t drop = log_size + size - sizeof(log_tail);

		memmove(log_tail, log_tail + drop, log_size - drop);
		log_size -= drop;
	}
	memcpy(log_tail + log_size, text, size);
	log_size += size;
}

static int log_print(enum libbpf_print_level level, const char *format, va_list list)
{
	char *text;
	int size;

	if (level == LIBBPF_DEBUG)
		return 0;
	size = vasprintf(&text, format, list);
	if (size < 0)
		return 0;
	log_append(text, size);
	free(text);
	return size;
}

void log_capture(void)
{
	libbpf_set_print(log_print);
}

napi_value fail(napi_env env, const char *step, int err)
{
	napi_value error, log;

	if (napi_create_error(env, NULL, new_string(env, step), &error) != napi_ok)
		return NULL;
	napi_create_string_utf8(env, log_tail, log_size, &log);
	napi_set_named_property(env, error, "errno", new_u32(env, err < 0 ? -err : err));
	napi_set_named_property(env, error, "step", new_string(env, step));
	napi_set_named_property(env, error, "log", log);
	napi_throw(env, error);
	return NULL;
}

bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
	size_t given = count;

	log_size = 0;
	if (napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given == count)
		return true;
	fail(env, "arguments", EINVAL);
	return false;
}

uint32_t u32_of(napi_env env, napi_value value)
{
	uint32_t number = 0;

	napi_get_value_uint32(env, value, &number);
	return number;
}

struct bytes bytes_of(napi_env env, napi_value value)
{
	struct bytes bytes = { NULL, 0 };
	void *data = NULL;

	if (napi_get_typedarray_info(env, value, NULL, &bytes.size, &data, NULL, NULL) == napi_ok)
		bytes.data = data;
	return bytes;
}

char *string_of(napi_env env, napi_value value)
{
	size_t size = 0;
	char *text;

	napi_get_value_string_utf8(env, value, NULL, 0, &size);
	text = calloc(1, size + 1);
	if (text)
		napi_get_value_string_utf8(env, value, text, size + 1, NULL);
	return text;
}

napi_value new_u32(napi_env env, uint32_t number)
{
	napi_value value = NULL;

	napi_create_uint32(env, number, &value);
	return value;
}

napi_value new_string(napi_env env, const char *text)
{
	napi_value value = NULL;

	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
	return value;
}

static void handle_close(struct handle *handle)
{
	if (handle->kind)
		handle->kind->close(handle);
	handle->kind = NULL;
}

static void handle_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	handle_close(data);
	free(data);
}

napi_value new_handle(napi_env env, struct handle *handle)
{
	napi_value value = NULL;

	if (napi_create_external(env, handle, handle_finalize, NULL, &value) == napi_ok)
		return value;
	handle_finalize(env, handle, NULL);
	return fail(env, "napi_create_external", ENOMEM);
}

void *handle_of(napi_env env, napi_value value, const struct handle_kind *kind, const char *step)
{
	void *data = NULL;

	if (napi_get_value_external(env, value, &data) == napi_ok && ((struct handle *)data)->kind == kind)
		return data;
	fail(env, step, EBADF);
	return NULL;
}

/* close(handle): closing what is closed does nothing. */
static napi_value close_handle(napi_env env, napi_callback_info info)
{
	napi_value argument;
	void *data = NULL;

	if (!arguments(env, info, 1, &argument))
		return NULL;
	if (napi_get_value_external(env, argument, &data) != napi_ok)
		return fail(env, "close", EBADF);
	handle_close(data);
	return NULL;
}

static const struct binding addon_bindings[] = { { "close", close_handle }, { NULL, NULL } };

static void bind(napi_env env, napi_value exports, const struct binding *binding)
{
	for (; binding->name; binding++) {
		napi_value call = NULL;

		napi_create_function(env, binding->name, NAPI_AUTO_LENGTH, binding->call, NULL, &call);
		napi_set_named_property(env, exports, binding->name, call);
	}
}

NAPI_MODULE_INIT()
{
	log_capture();
	bind(env, exports, addon_bindings);
	bind(env, exports, object_bindings);
	bind(env, exports, map_bindings);
	bind(env, exports, pin_bindings);
	bind(env, exports, link_bindings);
	bind(env, exports, xdp_bindings);
	bind(env, exports, ring_bindings);
	bind(env, exports, netlink_bindings);
	bind(env, exports, packet_bindings);
	bind(env, exports, lock_bindings);
	bind(env, exports, notify_bindings);
	napi_set_named_property(env, exports, "possibleCpus", new_u32(env, libbpf_num_possible_cpus()));
	return exports;
}
