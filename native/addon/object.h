/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_ADDON_OBJECT_H
#define INBAND_ADDON_OBJECT_H

#include "addon.h"
#include <bpf/libbpf.h>

/* A BPF object file. Maps and programs are addressed by their index in the lists that `open` returned. */
struct object {
	struct handle handle;
	struct bpf_object *bpf;
	struct bpf_map **maps;
	struct bpf_program **programs;
};

/* The map or program whose handle and index are the arguments `values[0]` and `values[1]`; NULL after throwing. */
struct bpf_map *map_of(napi_env env, const napi_value *values, const char *step);
struct bpf_program *program_of(napi_env env, const napi_value *values, const char *step);

#endif
