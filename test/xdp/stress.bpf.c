// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Sends packet after packet of a few flows through the program under test, on every CPU that runs it. The packet is not
 * restored between runs: each run looks first at where the one before was sent.
 *
 * Packet: Ethernet, IPv4 and TCP without options, at least 54 bytes. A backend's MAC ends with its number.
 * The test adds includes and licence.
 */

#define FLOWS 64
#define CPUS 64

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tested SEC(".maps");

struct {
	__u64 random;
	__u64 runs;
	__u64 wrong;
	__u64 expected;
} per_cpu[CPUS];

/* The backend of each flow, as the slots say. */
__u8 backends[FLOWS];

struct frame {
	__u8 mac[6];
	__u8 before_client[20];
	__u8 client[4];
	__u8 vip[4];
	__u8 port[2];
	__u8 before_flags[11];
	__u8 flags;
	__u8 rest[6];
};

SEC("xdp.frags")
int stress(struct xdp_md *context)
{
	struct frame *frame = (void *)(long)context->data;
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 random;
	__u32 flow;

	if (cpu >= CPUS || (void *)(frame + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	if (per_cpu[cpu].runs++ && frame->mac[5] != per_cpu[cpu].expected)
		per_cpu[cpu].wrong++;
	random = per_cpu[cpu].random * 6364136223846793005ULL + 1442695040888963407ULL + cpu;
	per_cpu[cpu].random = random;
	flow = random >> 33 & (FLOWS - 1);
	per_cpu[cpu].expected = backends[flow];
	frame->mac[5] = 0xff;
	frame->port[0] = 4;
	frame->port[1] = flow;
	/* Of 16 packets, 3 are SYNs, 1 is a FIN, 1 a RST; of two sequence numbers, so that flows begin anew. */
	switch (random >> 40 & 15) {
	case 0:
	case 1:
	case 2:
		frame->flags = 0x02;
		break;
	case 3:
		frame->flags = 0x11;
		break;
	case 4:
		frame->flags = 0x04;
		break;
	default:
		frame->flags = 0x10;
	}
	frame->before_flags[5] = random >> 50 & 1;
	bpf_tail_call(context, &tested, 0);
	return XDP_ABORTED;
}
