/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_PROBE_H
#define INBAND_PROBE_H

#include "maps.h"
#include "packet.h"
#include "vip.h"

/* What backends answer to probes, in the name of their vips: user space gets it, and the kernel's own TCP does not. */

/* Whether a packet is for where probes come from. */
static __always_inline int is_probed(const struct packet *packet)
{
	__u16 port = bpf_ntohs(packet->vip_port);

	return packet->vip_addr == probe_source.addr_be && port >= probe_source.port_first &&
	       port <= probe_source.port_last;
}

/* Hands on a packet that a vip sent, as its destination shows. 0 if no vip did. */
__noinline int take_probe(struct xdp_md *context, const struct packet *packet, __u32 cpu)
{
	struct inband_counters *counted = entry(&counters, cpu);
	struct inband_probe *record = NULL;
	struct packet reverse = {};
	__u32 place, at, bytes;

	if (!packet || !counted)
		return 0;
	reverse.vip_addr = packet->client_addr;
	reverse.vip_port = packet->client_port;
	reverse.proto = packet->proto;
	if (!find_vip(&reverse, &place))
		return 0;
	at = ip_place(context);
	bytes = packet->ip_bytes;
	if (at && bytes && bytes <= INBAND_PROBE_BYTES_MAX)
		record = bpf_ringbuf_reserve(&probes, sizeof(*record), 0);
	if (!record) {
		counted->probes_lost++;
		return 1;
	}
	record->bytes = bytes;
	record->pad = 0;
	/* The verifier forgets what it knew of a number that was stored. */
	barrier_var(bytes);
	if (!bytes || bytes > INBAND_PROBE_BYTES_MAX || bpf_xdp_load_bytes(context, at, record->packet, bytes)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		counted->probes_lost++;
		return 1;
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 1;
}

#endif
