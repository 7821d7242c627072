// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * Lets every packet through. On the peer of a veth, native XDP must be present for the other end's XDP_TX to arrive.
 * With frags, as attaching a program without them would lower the MTU limit and turn segmentation offload off.
 */
SEC("xdp.frags")
int inband_pass(struct xdp_md *context)
{
	(void)context;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
