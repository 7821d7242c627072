// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "pin.h"
#include "object.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Maps and programs in bpffs: pinned from an object, and opened again by the next process. */

static void pin_close(struct handle *handle)
{
	close(((struct pin *)handle)->fd);
}

const struct handle_kind pinned_map_kind = { pin_close };
const struct handle_kind pinned_program_kind = { pin_close };

/* What the kernel says of a descriptor names its kind; to ask for its information as that of another kind gives nonsense. */
static bool has_field(int fd, const char *field)
{
	char path[64], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, field, strlen(field));
	if (file)
		fclose(file);
	return found;
}

int open_pin(napi_env env, napi_value value, const char *field)
{
	char *path = string_of(env, value);
	int fd;

	if (!path)
		return -ENOMEM;
	fd = bpf_obj_get(path);
	free(path);
	if (fd < 0 || has_field(fd, field))
		return fd;
	close(fd);
	return -EINVAL;
}

int pin_at(napi_env env, napi_value value, int fd)
{
	char *path = string_of(env, value);
	int err;

	if (!path)
		return -ENOMEM;
	err = bpf_obj_pin(fd, path);
	free(path);
	return err;
}

/* mapPin(object, map, path) */
static napi_value map_pin(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_obj_pin";
	struct bpf_map *map;
	napi_value values[3];
	int err;

	if (!arguments(env, info, 3, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	err = pin_at(env, values[2], bpf_map__fd(map));
	return err ? fail(env, step, err) : NULL;
}

/* programPin(object, program, path) */
static napi_value program_pin(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_obj_pin";
	struct bpf_program *program;
	napi_value values[3];
	int err;

	if (!arguments(env, info, 3, values))
		return NULL;
	program = program_of(env, values, step);
	if (!program)
		return NULL;
	err = pin_at(env, values[2], bpf_program__fd(program));
	return err ? fail(env, step, err) : NULL;
}

/* mapOpen(path): {handle, id, type, flags, keySize, valueSize, maxEntries} */
static napi_value map_open(napi_env env, napi_callback_info callback)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);
	napi_value value, result;
	struct pin *pin;
	int fd, err;

	if (!arguments(env, callback, 1, &value))
		return NULL;
	fd = open_pin(env, value, "map_type:");
	if (fd < 0)
		return fail(env, "bpf_obj_get", fd);
	err = bpf_obj_get_info_by_fd(fd, &info, &size);
	pin = err ? NULL : calloc(1, sizeof(*pin));
	if (!pin) {
		close(fd);
		return fail(env, "bpf_obj_get_info_by_fd", err ? err : ENOMEM);
	}
	*pin = (struct pin){ .handle.kind = &pinned_map_kind, .fd = fd };
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "handle", new_handle(env, &pin->handle));
	napi_set_named_property(env, result, "id", new_u32(env, info.id));
	napi_set_named_property(env, result, "type", new_u32(env, info.type));
	napi_set_named_property(env, result, "flags", new_u32(env, info.map_flags));
	napi_set_named_property(env, result, "keySize", new_u32(env, info.key_size));
	napi_set_named_property(env, result, "valueSize", new_u32(env, info.value_size));
	napi_set_named_property(env, result, "maxEntries", new_u32(env, info.max_entries));
	return result;
}

/* programOpen(path): {handle, id} */
static napi_value program_open(napi_env env, napi_callback_info callback)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);
	napi_value value, result;
	struct pin *pin;
	int fd, err;

	if (!arguments(env, callback, 1, &value))
		return NULL;
	fd = open_pin(env, value, "prog_type:");
	if (fd < 0)
		return fail(env, "bpf_obj_get", fd);
	err = bpf_obj_get_info_by_fd(fd, &info, &size);
	pin = err ? NULL : calloc(1, sizeof(*pin));
	if (!pin) {
		close(fd);
		return fail(env, "bpf_obj_get_info_by_fd", err ? err : ENOMEM);
	}
	*pin = (struct pin){ .handle.kind = &pinned_program_kind, .fd = fd };
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "handle", new_handle(env, &pin->handle));
	napi_set_named_property(env, result, "id", new_u32(env, info.id));
	return result;
}

/* pinnedMemory(map): as `map` of a map of an object. */
static napi_value pinned_memory(napi_env env, napi_callback_info callback)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);
	napi_value value;
	struct pin *pin;
	int err;

	if (!arguments(env, callback, 1, &value))
		return NULL;
	pin = handle_of(env, value, &pinned_map_kind, "mmap");
	if (!pin)
		return NULL;
	err = bpf_obj_get_info_by_fd(pin->fd, &info, &size);
	return err ? fail(env, "bpf_obj_get_info_by_fd", err) : new_memory(env, pin->fd, info.value_size, info.max_entries);
}

/* pinnedLookup(map, key, value): as `lookup` of a map of an object. */
static napi_value pinned_lookup(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map_lookup_elem";
	napi_value values[3], found;
	struct pin *pin;
	int err;

	if (!arguments(env, info, 3, values))
		return NULL;
	pin = handle_of(env, values[0], &pinned_map_kind, step);
	if (!pin)
		return NULL;
	err = bpf_map_lookup_elem(pin->fd, bytes_of(env, values[1]).data, bytes_of(env, values[2]).data);
	if (err && err != -ENOENT)
		return fail(env, step, err);
	napi_get_boolean(env, !err, &found);
	return found;
}

/* reuse(object, map, pinned map), before load: the object takes that map, with its size, and makes none of its own. */
static napi_value reuse(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map__reuse_fd";
	struct bpf_map *map;
	napi_value values[3];
	struct pin *pin;
	int err;

	if (!arguments(env, info, 3, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	pin = handle_of(env, values[2], &pinned_map_kind, step);
	if (!pin)
		return NULL;
	err = bpf_map__reuse_fd(map, pin->fd);
	return err ? fail(env, step, err) : NULL;
}

const struct binding pin_bindings[] = {
	{ "mapPin", map_pin },		     { "programPin", program_pin },
	{ "mapOpen", map_open },	     { "programOpen", program_open },
	{ "pinnedMemory", pinned_memory }, { "pinnedLookup", pinned_lookup },
	{ "reuse", reuse },		     { NULL, NULL },
};
