/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_ADDON_H
#define INBAND_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The addon trusts its only caller, src/datapath/xdp/native.ts, to have checked types, ranges and sizes. Inside, a
 * failure is a negative errno; `fail` is the one place that throws.
 */

/* At most this much of libbpf's log goes into an error: the end of a verifier log says what was wrong. */
#define LOG_TAIL_BYTES 4096
#define ARGUMENTS_MAX 10

/*
 * Something of the kernel's that JavaScript holds. Freed exactly once: by `close`, or when it is collected. `kind` is
 * NULL once it is closed, after which every use of it fails with EBADF.
 */
struct handle {
	const struct handle_kind *kind;
};

struct handle_kind {
	void (*close)(struct handle *handle);
};

struct bytes {
	uint8_t *data;
	size_t size;
};

extern const struct handle_kind object_kind;
extern const struct handle_kind link_kind;
extern const struct handle_kind ring_kind;
extern const struct handle_kind netlink_kind;
extern const struct handle_kind packet_kind;
extern const struct handle_kind sender_kind;
extern const struct handle_kind lock_kind;

/* Fetches exactly `count` arguments and forgets the log of the call before. False when it has thrown. */
bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);

uint32_t u32_of(napi_env env, napi_value value);
struct bytes bytes_of(napi_env env, napi_value value);
/* A malloc'ed copy of a string; NULL when out of memory. */
char *string_of(napi_env env, napi_value value);
/* The open handle of that kind behind `value`, or NULL after throwing EBADF for `step`. */
void *handle_of(napi_env env, napi_value value, const struct handle_kind *kind, const char *step);

napi_value new_u32(napi_env env, uint32_t value);
napi_value new_string(napi_env env, const char *text);
/* Gives a malloc'ed handle to JavaScript; on failure closes and frees it. */
napi_value new_handle(napi_env env, struct handle *handle);
/* The values of a mappable map as an ArrayBuffer, see map.c. */
napi_value new_memory(napi_env env, int map_fd, uint32_t value_size, uint32_t max_entries);

/* Throws Error(step) with `errno` (positive), `step` and `log`; returns NULL, for a binding to return in turn. */
napi_value fail(napi_env env, const char *step, int err);
void log_capture(void);

struct binding {
	const char *name;
	napi_callback call;
};

extern const struct binding object_bindings[];
extern const struct binding map_bindings[];
extern const struct binding pin_bindings[];
extern const struct binding link_bindings[];
extern const struct binding xdp_bindings[];
extern const struct binding ring_bindings[];
extern const struct binding netlink_bindings[];
extern const struct binding packet_bindings[];
extern const struct binding lock_bindings[];
extern const struct binding notify_bindings[];

#endif
