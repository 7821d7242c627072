// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * run-pinned NAME CPU REPEAT HEX: runs the youngest BPF program of that name REPEAT times on a frame, on one CPU.
 * Several processes run a program at once in this way, which one process cannot.
 */

static int program_named(const char *name)
{
	int found = -1;
	uint32_t id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, name))
			found = fd;
	}
	return found;
}

int main(int count, char **arguments)
{
	static uint8_t frame[256], out[512];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_out = out, .data_size_out = sizeof(out));
	cpu_set_t cpus;
	int program;

	if (count != 5)
		return 2;
	CPU_ZERO(&cpus);
	CPU_SET(atoi(arguments[2]), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return perror("sched_setaffinity"), 1;
	options.repeat = atoi(arguments[3]);
	options.data_size_in = strlen(arguments[4]) / 2;
	if (options.data_size_in > sizeof(frame))
		return 2;
	for (unsigned int i = 0; i < options.data_size_in; i++)
		sscanf(arguments[4] + 2 * i, "%2hhx", &frame[i]);
	program = program_named(arguments[1]);
	if (program < 0 || bpf_prog_test_run_opts(program, &options))
		return perror("bpf_prog_test_run"), 1;
	return 0;
}
