// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* What the addon's own tests run: each program shows one way in which kernel and user space meet. */

#define CELLS 1024
#define RECORDS_MAX 4096

struct record {
	__u64 index;
	__u64 twice;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CELLS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} words SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} tails SEC(".maps");

const volatile __u32 factor = 1;
const volatile __u32 record_count = 1;
__u64 packets;
__u64 dropped;
__u32 start = 7;

/* Packet: u32 index of a cell. Overwrites it with cells[index] * factor. */
SEC("xdp")
int read_cell(struct xdp_md *context)
{
	__u32 *data = (void *)(long)context->data;
	__u64 *cell;
	__u32 index;

	packets++;
	if ((void *)(data + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	index = *data;
	cell = bpf_map_lookup_elem(&cells, &index);
	if (!cell)
		return XDP_DROP;
	*data = *cell * factor;
	return XDP_TX;
}

/* Emits `record_count` records, counts those that found no room; every third is discarded, as a program may. */
SEC("xdp")
int emit(struct xdp_md *context)
{
	(void)context;
	for (__u32 i = 0; i < RECORDS_MAX && i < record_count; i++) {
		struct record *record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);

		if (!record) {
			dropped++;
			continue;
		}
		record->index = start + i;
		record->twice = 2 * (start + i);
		if (i % 3 == 2)
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		else
			bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	}
	return XDP_PASS;
}

/* Counts on this CPU, then tail-calls entry 1; XDP_PASS when that is empty. */
SEC("xdp")
int jump(struct xdp_md *context)
{
	__u32 key = 1;
	__u32 *count = bpf_map_lookup_elem(&per_cpu, &key);

	if (count)
		*count += 1;
	bpf_tail_call(context, &tails, 1);
	return XDP_PASS;
}

/* Packet: u32 key. Adds one to words[key]; XDP_DROP when there is none. */
SEC("xdp")
int count_word(struct xdp_md *context)
{
	__u32 *data = (void *)(long)context->data;
	__u64 *word;
	__u32 key;

	if ((void *)(data + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	key = *data;
	word = bpf_map_lookup_elem(&words, &key);
	if (!word)
		return XDP_DROP;
	*word += 1;
	return XDP_PASS;
}

/* Does nothing: what a call of bpf_prog_test_run costs by itself. */
SEC("xdp")
int nothing(struct xdp_md *context)
{
	(void)context;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
