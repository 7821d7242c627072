// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "object.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

/* The id of the link that holds the hook of an interface by this program; 0 when it is none or may not be known. */
static uint32_t link_id_of(uint32_t ifindex, uint32_t program_id)
{
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = {};
		uint32_t size = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);
		int err;

		if (fd < 0)
			continue;
		err = bpf_obj_get_info_by_fd(fd, &info, &size);
		close(fd);
		if (!err && info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex && info.prog_id == program_id)
			return id;
	}
	return 0;
}

/* Empty when this process may not look at programs of others. */
static napi_value program_name(napi_env env, uint32_t id)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0) {
		if (bpf_obj_get_info_by_fd(fd, &info, &size))
			info.name[0] = 0;
		close(fd);
	}
	return new_string(env, info.name);
}

/* query(interface index): {mode, programId, programName, linkId}; mode is XDP_ATTACHED_*, 0 when the hook is free. */
static napi_value query(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, options);
	napi_value value, result;
	char name[IF_NAMESIZE];
	uint32_t ifindex, id;
	int err;

	if (!arguments(env, info, 1, &value))
		return NULL;
	ifindex = u32_of(env, value);
	/* libbpf reports an interface that does not exist as one whose hook is free. */
	if (!if_indextoname(ifindex, name))
		return fail(env, "if_indextoname", errno == ENXIO ? ENODEV : errno);
	err = bpf_xdp_query(ifindex, 0, &options);
	if (err)
		return fail(env, "bpf_xdp_query", err);
	id = options.attach_mode == XDP_ATTACHED_DRV ? options.drv_prog_id :
	     options.attach_mode == XDP_ATTACHED_SKB ? options.skb_prog_id : options.prog_id;
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "mode", new_u32(env, options.attach_mode));
	napi_set_named_property(env, result, "programId", new_u32(env, id));
	napi_set_named_property(env, result, "programName", program_name(env, id));
	napi_set_named_property(env, result, "linkId", new_u32(env, id ? link_id_of(ifindex, id) : 0));
	return result;
}

/*
 * testRun(object, program, packet, out, repeat, flags, batch size, ingress interface index, rx queue, result)
 * An interface index of 0 leaves the kernel's default, the loopback. `result` is a Uint32Array that receives the
 * return value, the mean duration in ns and the size of the packet in `out`. Live frames must have an empty `out`.
 */
static napi_value test_run(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	const char *step = "bpf_prog_test_run";
	struct bpf_program *program;
	struct xdp_md context = {};
	napi_value values[10];
	struct bytes packet, out;
	uint32_t *result;
	int err;

	if (!arguments(env, info, 10, values))
		return NULL;
	program = program_of(env, values, step);
	if (!program)
		return NULL;
	packet = bytes_of(env, values[2]);
	out = bytes_of(env, values[3]);
	options.data_in = packet.data;
	options.data_size_in = packet.size;
	options.data_out = out.size ? out.data : NULL;
	options.data_size_out = out.size;
	options.repeat = u32_of(env, values[4]);
	options.flags = u32_of(env, values[5]);
	options.batch_size = u32_of(env, values[6]);
	context.ingress_ifindex = u32_of(env, values[7]);
	if (context.ingress_ifindex) {
		context.data_end = packet.size;
		context.rx_queue_index = u32_of(env, values[8]);
		options.ctx_in = &context;
		options.ctx_size_in = sizeof(context);
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	if (err)
		return fail(env, step, err);
	result = (uint32_t *)bytes_of(env, values[9]).data;
	result[0] = options.retval;
	result[1] = options.duration;
	result[2] = options.data_size_out;
	return NULL;
}

/* call(object, program, context): runs a program of type syscall on a context, which it may change; what it returned. */
static napi_value call(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	const char *step = "bpf_prog_test_run";
	struct bpf_program *program;
	struct bytes context;
	napi_value values[3];
	int err;

	if (!arguments(env, info, 3, values))
		return NULL;
	program = program_of(env, values, step);
	if (!program)
		return NULL;
	context = bytes_of(env, values[2]);
	options.ctx_in = context.data;
	options.ctx_size_in = context.size;
	err = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	if (err)
		return fail(env, step, err);
	return new_u32(env, options.retval);
}

/* probe(): throws when this process may not load an XDP program. */
static napi_value probe(napi_env env, napi_callback_info info)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd;

	if (!arguments(env, info, 0, NULL))
		return NULL;
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "inband_probe", "Dual MIT/GPL", pass, 2, NULL);
	if (fd < 0)
		return fail(env, "bpf_prog_load", fd);
	close(fd);
	return NULL;
}

const struct binding xdp_bindings[] = {
	{ "query", query }, { "testRun", test_run }, { "call", call }, { "probe", probe }, { NULL, NULL },
};
