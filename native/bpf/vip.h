/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_VIP_H
#define INBAND_VIP_H

#include "hash.h"
#include "maps.h"
#include "packet.h"

/*
 * The vip that a packet is for, and its place in the table; NULL if there is none. The place stands for the vip in keys
 * of flows, as it is known before the entry is read.
 */
static __always_inline struct inband_vip *find_vip(const struct packet *packet, __u32 *place)
{
	__u64 key = packet->vip_addr | (__u64)packet->vip_port << 32 | (__u64)packet->proto << 48;
	__u32 first = key * config.vip_multiplier >> config.vip_shift;

	for (int probe = 0; probe < INBAND_VIP_PROBES_MAX; probe++) {
		struct inband_vip *vip;

		*place = (first + probe) & config.vip_mask;
		vip = entry(&vips, *place);
		if (!vip || !vip->proto)
			return NULL;
		if (*(__u64 *)vip == key)
			return vip;
	}
	return NULL;
}

/* `slotHashIpv4` of src/maglev/hash.ts. */
static __always_inline __u32 slot_hash(__u32 seed, __u32 address, __u32 port)
{
	return finish_hash(mix_word(mix_word(seed, address), port) ^ 8);
}

/* The number of the backend that a new flow goes to; there may be no such backend. */
static __always_inline __u32 backend_of_slot(const struct inband_vip *vip, __be32 client_addr, __be16 client_port)
{
	__u32 hash = slot_hash(vip->seed, bpf_ntohl(client_addr), bpf_ntohs(client_port));
	__u32 slot = vip->slot_first + (__u32)((__u64)hash * vip->slot_count >> 32);
	__u64 *four = entry(&slots, slot / 4);

	return four ? vip->backend_first + (__u32)((*four >> slot % 4 * 16) & 0xffff) : ~0U;
}

/* Where to send frames for a backend; NULL while it cannot be used. */
static __always_inline struct inband_backend *usable_backend(__u32 number)
{
	struct inband_backend *backend = entry(&backends, number);

	return backend && backend->ifindex ? backend : NULL;
}

#endif
