// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "object.h"
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void object_close(struct handle *handle)
{
	struct object *object = (struct object *)handle;

	bpf_object__close(object->bpf);
	free(object->maps);
	free(object->programs);
}

const struct handle_kind object_kind = { object_close };

struct bpf_map *map_of(napi_env env, const napi_value *values, const char *step)
{
	struct object *object = handle_of(env, values[0], &object_kind, step);

	return object ? object->maps[u32_of(env, values[1])] : NULL;
}

struct bpf_program *program_of(napi_env env, const napi_value *values, const char *step)
{
	struct object *object = handle_of(env, values[0], &object_kind, step);

	return object ? object->programs[u32_of(env, values[1])] : NULL;
}

/* libbpf prefixes the names of data sections with that of the object; here they are `.bss`, `.data` and `.rodata`. */
static const char *map_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	return bpf_map__is_internal(map) ? strchr(name, '.') : name;
}

static napi_value describe_map(napi_env env, const struct bpf_map *map)
{
	napi_value value;

	napi_create_object(env, &value);
	napi_set_named_property(env, value, "name", new_string(env, map_name(map)));
	napi_set_named_property(env, value, "type", new_u32(env, bpf_map__type(map)));
	napi_set_named_property(env, value, "flags", new_u32(env, bpf_map__map_flags(map)));
	napi_set_named_property(env, value, "keySize", new_u32(env, bpf_map__key_size(map)));
	napi_set_named_property(env, value, "valueSize", new_u32(env, bpf_map__value_size(map)));
	napi_set_named_property(env, value, "maxEntries", new_u32(env, bpf_map__max_entries(map)));
	return value;
}

/* Appends the global variables of one data section, whose offsets libbpf has filled in when it opened the object. */
static void describe_section(napi_env env, const struct btf *btf, const struct btf_type *section, napi_value list,
			     uint32_t *count)
{
	const struct btf_var_secinfo *info = btf_var_secinfos(section);
	const char *map = btf__name_by_offset(btf, section->name_off);

	for (int i = 0; i < btf_vlen(section); i++, info++) {
		const struct btf_type *type = btf__type_by_id(btf, info->type);
		napi_value value;

		napi_create_object(env, &value);
		napi_set_named_property(env, value, "name", new_string(env, btf__name_by_offset(btf, type->name_off)));
		napi_set_named_property(env, value, "map", new_string(env, map));
		napi_set_named_property(env, value, "offset", new_u32(env, info->offset));
		napi_set_named_property(env, value, "size", new_u32(env, info->size));
		napi_set_element(env, list, (*count)++, value);
	}
}

static napi_value describe_globals(napi_env env, struct bpf_object *bpf)
{
	const struct btf *btf = bpf_object__btf(bpf);
	uint32_t count = 0;
	napi_value list;

	napi_create_array(env, &list);
	if (!btf)
		return list;
	for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const char *name = btf__name_by_offset(btf, type->name_off);

		/* Other sections (.maps, license) do not become maps. */
		if (btf_is_datasec(type) && (!strncmp(name, ".rodata", 7) || !strncmp(name, ".data", 5) || !strncmp(name, ".bss", 4)))
			describe_section(env, btf, type, list, &count);
	}
	return list;
}

static int collect(napi_env env, struct object *object, napi_value maps, napi_value programs)
{
	uint32_t map_count = 0, program_count = 0;
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_map(map, object->bpf)
		map_count++;
	bpf_object__for_each_program(program, object->bpf)
		program_count++;
	object->maps = calloc(map_count + 1, sizeof(*object->maps));
	object->programs = calloc(program_count + 1, sizeof(*object->programs));
	if (!object->maps || !object->programs)
		return -ENOMEM;

	map_count = 0;
	bpf_object__for_each_map(map, object->bpf) {
		napi_set_element(env, maps, map_count, describe_map(env, map));
		object->maps[map_count++] = map;
	}
	program_count = 0;
	bpf_object__for_each_program(program, object->bpf) {
		napi_set_element(env, programs, program_count, new_string(env, bpf_program__name(program)));
		object->programs[program_count++] = program;
	}
	return 0;
}

/* open(path): {handle, maps, programs, globals}; nothing is in the kernel yet. */
static napi_value object_open(napi_env env, napi_callback_info info)
{
	napi_value path_value, result, maps, programs, handle;
	struct object *object;
	char *path;
	int err;

	if (!arguments(env, info, 1, &path_value))
		return NULL;
	path = string_of(env, path_value);
	object = calloc(1, sizeof(*object));
	if (!path || !object) {
		free(path);
		free(object);
		return fail(env, "bpf_object__open_file", ENOMEM);
	}
	object->bpf = bpf_object__open_file(path, NULL);
	err = object->bpf ? 0 : -errno;
	free(path);
	if (err) {
		free(object);
		return fail(env, "bpf_object__open_file", err);
	}
	object->handle.kind = &object_kind;
	handle = new_handle(env, &object->handle);
	if (!handle)
		return NULL;

	napi_create_array(env, &maps);
	napi_create_array(env, &programs);
	err = collect(env, object, maps, programs);
	if (err)
		return fail(env, "bpf_object__open_file", err);
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "handle", handle);
	napi_set_named_property(env, result, "maps", maps);
	napi_set_named_property(env, result, "programs", programs);
	napi_set_named_property(env, result, "globals", describe_globals(env, object->bpf));
	return result;
}

/* setMaxEntries(object, map, count), before load. */
static napi_value set_max_entries(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map__set_max_entries";
	struct bpf_map *map;
	napi_value values[3];
	int err;

	if (!arguments(env, info, 3, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	err = bpf_map__set_max_entries(map, u32_of(env, values[2]));
	return err ? fail(env, step, err) : NULL;
}

/* setGlobal(object, map, offset, bytes), before load: the initial value of a variable in a data section. */
static napi_value set_global(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_map__initial_value";
	struct bpf_map *map;
	napi_value values[4];
	struct bytes bytes;
	uint32_t offset;
	size_t size = 0;
	uint8_t *initial;

	if (!arguments(env, info, 4, values))
		return NULL;
	map = map_of(env, values, step);
	if (!map)
		return NULL;
	offset = u32_of(env, values[2]);
	bytes = bytes_of(env, values[3]);
	/* Const to readers; until the object is loaded libbpf keeps it in memory of its own, to be written like this. */
	initial = (uint8_t *)bpf_map__initial_value(map, &size);
	if (!initial || offset > size || bytes.size > size - offset)
		return fail(env, step, EINVAL);
	memcpy(initial + offset, bytes.data, bytes.size);
	return NULL;
}

/* load(object): creates the maps, has the programs verified. */
static napi_value object_load(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_object__load";
	struct object *object;
	napi_value value;
	int err;

	if (!arguments(env, info, 1, &value))
		return NULL;
	object = handle_of(env, value, &object_kind, step);
	if (!object)
		return NULL;
	err = bpf_object__load(object->bpf);
	return err ? fail(env, step, err) : NULL;
}

const struct binding object_bindings[] = {
	{ "open", object_open },
	{ "setMaxEntries", set_max_entries },
	{ "setGlobal", set_global },
	{ "load", object_load },
	{ NULL, NULL },
};
