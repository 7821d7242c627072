/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_ADDON_PIN_H
#define INBAND_ADDON_PIN_H

#include "addon.h"

/* A map or program of the kernel's that was pinned to a path, opened from there. */
struct pin {
	struct handle handle;
	int fd;
};

extern const struct handle_kind pinned_map_kind;
extern const struct handle_kind pinned_program_kind;

/*
 * Opens what is pinned at the path that `value` is: a descriptor, or -errno; -EINVAL when it is of another kind than the
 * one whose descriptors have `field` in their fdinfo.
 */
int open_pin(napi_env env, napi_value value, const char *field);
/* Pins what `fd` refers to at the path that `value` is: 0 or -errno. */
int pin_at(napi_env env, napi_value value, int fd);

#endif
