// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/*
 * Runs a program again and again as if packet after packet arrived, each of the next flow: bpf_prog_test_run gives every
 * run the packet as the run before it left it.
 */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

#define CHUNK_PACKETS 1024
#define CHUNKS 4096

/* Packets so far; the flow follows from it. */
volatile __u64 packets;
/* Packets ever, from which sequence numbers follow. */
volatile __u64 sent;
/* The server's timestamp, in ms, that clients echo; it stands still while they answer handshakes, with that of the SYN-ACK. */
volatile __u32 stamp_ms;
volatile __u32 answering;
/* log2 of flow_mask + 1. */
volatile __u32 flow_bits;
/* Bytes of data in each packet, and of responses that clients acknowledge with each. */
volatile __u32 data_bytes;
#define RESPONSE_BYTES 100
/* Packets come from the flows flow_first to flow_first + flow_mask; flow_mask + 1 is a power of two. */
volatile __u32 flow_first;
volatile __u32 flow_mask;
/* TCP's data offset and flags: `odd` in packets whose number has the bit `odd_bit`, `even` in the others. */
volatile __u32 odd_bit;
volatile __be16 even;
volatile __be16 odd;
/* When each chunk of the last CHUNKS * CHUNK_PACKETS packets began: chunks show what was interrupted, a sum does not. */
volatile __u64 chunk_start_ns[CHUNKS];

/* Both MACs: three words, as <linux/if_ether.h> has bytes, which the compiler would write one by one. */
static __always_inline void write_macs(void *frame, __u32 first, __u32 second, __u32 third)
{
	__u32 *macs = frame;

	macs[0] = first;
	macs[1] = second;
	macs[2] = third;
}

/* Tail-calls `measured` with a frame of the next flow, all else as in the packet given: TCP over IPv4 with timestamps. */
SEC("xdp.frags")
int wrap(struct xdp_md *context)
{
	void *frame = (void *)(long)context->data;
	struct iphdr *ip = frame + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	/* Two NOPs, then timestamps. */
	__be32 *options = (void *)(tcp + 1);
	__u32 number, flow, turn;

	if ((void *)(options + 3) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	number = packets++;
	if (!(number % CHUNK_PACKETS)) {
		__u64 now_ns = bpf_ktime_get_ns();

		chunk_start_ns[number / CHUNK_PACKETS % CHUNKS] = now_ns;
		if (!answering)
			stamp_ms = now_ns / 1000000;
	}
	turn = sent++ >> (flow_bits & 31);
	/* Multiplied by an odd number, so that neighbours in time are no neighbours in address. */
	flow = flow_first + (number * 0x9e3779b1U & flow_mask);
	write_macs(frame, 0x00000002, 0x00020100, 0x02000000);
	ip->saddr = bpf_htonl(0x0a800000 + (flow >> 4));
	/* As wide as a program may read: from a narrower one that is still on its way to the cache, reading is slow. */
	*(__u32 *)tcp = bpf_htons(1024 + (flow & 15) * 4096) | (__u32)tcp->dest << 16;
	((__be16 *)tcp)[6] = number & odd_bit ? odd : even;
	/* A closed loop: each packet is the next request of its flow, and acknowledges the response to the one before. */
	tcp->seq = bpf_htonl(turn * data_bytes);
	tcp->ack_seq = bpf_htonl(turn * RESPONSE_BYTES);
	options[2] = bpf_htonl(stamp_ms);
	bpf_tail_call(context, &measured, 0);
	return XDP_ABORTED;
}

/* The least that a load balancer does: nothing; both MACs written; and one look at the clock besides. */
SEC("xdp.frags")
int floor_tx(struct xdp_md *context)
{
	(void)context;
	return XDP_TX;
}

static __always_inline int swap_macs(struct xdp_md *context)
{
	__u32 *macs = (void *)(long)context->data;
	__u32 first, second, third;

	if ((void *)(macs + 3) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	first = macs[0];
	second = macs[1];
	third = macs[2];
	write_macs(macs, second >> 16 | third << 16, third >> 16 | first << 16, first >> 16 | second << 16);
	return XDP_TX;
}

SEC("xdp.frags")
int floor_swap(struct xdp_md *context)
{
	return swap_macs(context);
}

volatile __u64 now_ns;

SEC("xdp.frags")
int floor_clock(struct xdp_md *context)
{
	now_ns = bpf_ktime_get_ns();
	return swap_macs(context);
}

/* Where live frames end; by CPU, a cache line for each of the first 16. */
volatile __u64 received[16 * 8];

SEC("xdp.frags")
int sink(struct xdp_md *context)
{
	(void)context;
	received[bpf_get_smp_processor_id() % 16 * 8]++;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual MIT/GPL";
