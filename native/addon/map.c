// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "object.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <sys/mman.h>

static void unmap(napi_env env, void *data, void *hint)
{
	(void)env;
	munmap(data, (size_t)(uintptr_t)hint);
}

/*
 * The memory belongs to the ArrayBuffer: it is unmapped when that is detached or collected, whichever is first, and
 * outlives the map. Always mapped writable, as JavaScript cannot be kept from writing: a frozen map (.rodata) fails with
 * EPERM.
 */
napi_value new_memory(napi_env env, int map_fd, uint32_t value_size, uint32_t max_entries)
{
	/* The kernel keeps the values of an array 8 bytes aligned. */
	size_t size = (((size_t)value_size + 7) & ~(size_t)7) * max_entries;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	napi_value buffer;

	if (memory == MAP_FAILED)
		return fail(env, "mmap", errno);
	if (napi_create_external_arraybuffer(env, memory, size, unmap, (void *)(uintptr_t)size, &buffer) != napi_ok) {
		munmap(memory, size);
		return fail(env, "napi_create_external_arraybuffer", ENOMEM);
	}
	return buffer;
}

/* map(object, map): the values of a BPF_F_MMAPABLE array, or of a data section, as an ArrayBuffer. */
static napi_value map_memory(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	napi_value values[2];

	if (!arguments(env, info, 2, values))
		return NULL;
	map = map_of(env, values, "mmap");
	if (!map)
		return NULL;
	return new_memory(env, bpf_map__fd(map), bpf_map__value_size(map), bpf_map__max_entries(map));
}

/* unmap(buffer): leaves every view of it with length 0; what is detached already stays so. */
static napi_value unmap_memory(napi_env env, napi_callback_info info)
{
	napi_value value;

	if (!arguments(env, info, 1, &value))
		return NULL;
	if (napi_detach_arraybuffer(env, value) != napi_ok)
		return fail(env, "napi_detach_arraybuffer", EINVAL);
	return NULL;
}

/* lookup(object, map, key, value): fills `value`; false when there is no such key. */
static napi_value map_lookup(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map_lookup_elem";
	napi_value values[4], found;
	struct bpf_map *map;
	int err;

	if (!arguments(env, info, 4, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	err = bpf_map_lookup_elem(bpf_map__fd(map), bytes_of(env, values[2]).data, bytes_of(env, values[3]).data);
	if (err && err != -ENOENT)
		return fail(env, step, err);
	napi_get_boolean(env, !err, &found);
	return found;
}

/* update(object, map, key, value) */
static napi_value map_update(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map_update_elem";
	struct bpf_map *map;
	napi_value values[4];
	int err;

	if (!arguments(env, info, 4, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	err = bpf_map_update_elem(bpf_map__fd(map), bytes_of(env, values[2]).data, bytes_of(env, values[3]).data, BPF_ANY);
	return err ? fail(env, step, err) : NULL;
}

/* remove(object, map, key): false when there was no such key. */
static napi_value map_remove(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map_delete_elem";
	napi_value values[3], found;
	struct bpf_map *map;
	int err;

	if (!arguments(env, info, 3, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	err = bpf_map_delete_elem(bpf_map__fd(map), bytes_of(env, values[2]).data);
	if (err && err != -ENOENT)
		return fail(env, step, err);
	napi_get_boolean(env, !err, &found);
	return found;
}

/* setTail(object, map, index, target object, program): what a tail call through that entry runs. */
static napi_value set_tail(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map_update_elem";
	struct bpf_program *program;
	napi_value values[5];
	struct bpf_map *map;
	uint32_t index;
	int err, fd;

	if (!arguments(env, info, 5, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	program = program_of(env, values + 3, step);
	if (!program)
		return NULL;
	index = u32_of(env, values[2]);
	fd = bpf_program__fd(program);
	err = bpf_map_update_elem(bpf_map__fd(map), &index, &fd, BPF_ANY);
	return err ? fail(env, step, err) : NULL;
}

const struct binding map_bindings[] = {
	{ "map", map_memory },	   { "unmap", unmap_memory }, { "lookup", map_lookup }, { "update", map_update },
	{ "remove", map_remove }, { "setTail", set_tail },   { NULL, NULL },
};
