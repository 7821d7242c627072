// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "object.h"
#include "pin.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A program on an interface. While the link is pinned it stays when this is closed; otherwise it detaches. */
struct link {
	struct handle handle;
	int fd;
};

static void link_close(struct handle *handle)
{
	close(((struct link *)handle)->fd);
}

const struct handle_kind link_kind = { link_close };

/* Takes over `fd`, which is -errno when there is none. */
static napi_value new_link(napi_env env, const char *step, int fd)
{
	struct link *link;

	if (fd < 0)
		return fail(env, step, fd);
	link = calloc(1, sizeof(*link));
	if (!link) {
		close(fd);
		return fail(env, step, ENOMEM);
	}
	link->fd = fd;
	link->handle.kind = &link_kind;
	return new_handle(env, &link->handle);
}

/* attach(object, program, interface index, XDP_FLAGS_*): a link, which detaches when it is closed or the process ends. */
static napi_value attach(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_link_create_opts, options);
	const char *step = "bpf_link_create";
	struct bpf_program *program;
	napi_value values[4];

	if (!arguments(env, info, 4, values))
		return NULL;
	program = program_of(env, values, step);
	if (!program)
		return NULL;
	options.flags = u32_of(env, values[3]);
	return new_link(env, step, bpf_link_create(bpf_program__fd(program), u32_of(env, values[2]), BPF_XDP, &options));
}

/* linkOpen(path): a link that was pinned there. */
static napi_value link_open(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_obj_get";
	napi_value value;

	if (!arguments(env, info, 1, &value))
		return NULL;
	return new_link(env, step, open_pin(env, value, "link_type:"));
}

/* linkPin(link, path) */
static napi_value link_pin(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_obj_pin";
	napi_value values[2];
	struct link *link;
	int err;

	if (!arguments(env, info, 2, values))
		return NULL;
	link = handle_of(env, values[0], &link_kind, step);
	if (!link)
		return NULL;
	err = pin_at(env, values[1], link->fd);
	return err ? fail(env, step, err) : NULL;
}

/* linkInfo(link): {id, type, programId, ifindex}; `ifindex` is 0 once the interface is gone or the link was detached. */
static napi_value link_info(napi_env env, napi_callback_info callback)
{
	const char *step = "bpf_obj_get_info_by_fd";
	struct bpf_link_info info = {};
	uint32_t size = sizeof(info);
	napi_value value, result;
	struct link *link;
	int err;

	if (!arguments(env, callback, 1, &value))
		return NULL;
	link = handle_of(env, value, &link_kind, step);
	if (!link)
		return NULL;
	err = bpf_obj_get_info_by_fd(link->fd, &info, &size);
	if (err)
		return fail(env, step, err);
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "id", new_u32(env, info.id));
	napi_set_named_property(env, result, "programId", new_u32(env, info.prog_id));
	napi_set_named_property(env, result, "ifindex",
				new_u32(env, info.type == BPF_LINK_TYPE_XDP ? info.xdp.ifindex : 0));
	return result;
}

/*
 * linkUpdate(link, object, program, expected): puts a program in the place of the one that the link holds, between two
 * packets. Fails with EPERM when the link does not hold the pinned program `expected`.
 */
static napi_value link_update(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_link_update_opts, options, .flags = BPF_F_REPLACE);
	const char *step = "bpf_link_update";
	struct bpf_program *program;
	struct pin *expected;
	napi_value values[4];
	struct link *link;
	int err;

	if (!arguments(env, info, 4, values))
		return NULL;
	link = handle_of(env, values[0], &link_kind, step);
	if (!link)
		return NULL;
	program = program_of(env, values + 1, step);
	if (!program)
		return NULL;
	expected = handle_of(env, values[3], &pinned_program_kind, step);
	if (!expected)
		return NULL;
	options.old_prog_fd = expected->fd;
	err = bpf_link_update(link->fd, bpf_program__fd(program), &options);
	return err ? fail(env, step, err) : NULL;
}

/* linkDetach(link): takes the program off the interface, also while the link is pinned. */
static napi_value link_detach(napi_env env, napi_callback_info info)
{
	const char *step = "bpf_link_detach";
	struct link *link;
	napi_value value;
	int err;

	if (!arguments(env, info, 1, &value))
		return NULL;
	link = handle_of(env, value, &link_kind, step);
	if (!link)
		return NULL;
	err = bpf_link_detach(link->fd);
	return err ? fail(env, step, err) : NULL;
}

/*
 * gracePeriod(): waits until every CPU has left what it was running when this was called, BPF programs among it. Kernels
 * with CPUs free of ticks refuse to wait; programs run for microseconds, so that a pause does as well.
 */
static napi_value grace_period(napi_env env, napi_callback_info info)
{
	const uint32_t pause_us = 50000;

	if (!arguments(env, info, 0, NULL))
		return NULL;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(pause_us);
	return NULL;
}

const struct binding link_bindings[] = {
	{ "attach", attach },	      { "linkOpen", link_open },     { "linkPin", link_pin },
	{ "linkInfo", link_info },    { "linkUpdate", link_update }, { "linkDetach", link_detach },
	{ "gracePeriod", grace_period }, { NULL, NULL },
};
