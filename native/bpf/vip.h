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
		if (!vip || vip->proto == INBAND_PLACE_EMPTY)
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

/* The number in the slot of a client's flows; there may be no such backend. */
static __always_inline __u32 backend_of_slot(const struct inband_vip *vip, __be32 client_addr, __be16 client_port)
{
	__u32 hash = slot_hash(vip->seed, bpf_ntohl(client_addr), bpf_ntohs(client_port));
	__u32 slot = vip->slot_first + (__u32)((__u64)hash * vip->slot_count >> 32);
	__u64 *four = entry(&slots, slot / 4);

	return four ? (__u32)(*four >> slot % 4 * 16) & 0xffff : ~0U;
}

static __always_inline struct inband_backend *backend_at(__u32 number)
{
	return entry(&backends, number);
}

/* The interface that frames for a backend leave by; 0 while it cannot be used. */
static __always_inline __u32 interface_of(const struct inband_backend *backend)
{
	return backend ? backend->hop & ((1U << INBAND_HOP_INTERFACE_BITS) - 1) : 0;
}

/* Whether a backend's flows meet a fate other than to be kept. */
static __always_inline int is_lost(const struct inband_backend *backend)
{
	return backend && backend->hop < 0;
}

#endif
