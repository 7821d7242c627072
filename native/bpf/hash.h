/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_HASH_H
#define INBAND_HASH_H

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* The 32-bit MurmurHash3 (public domain), word by word, as src/maglev/hash.ts and src/latency/prefix.ts have it. */

static __always_inline __u32 rotate(__u32 word, int bits)
{
	return word << bits | word >> (32 - bits);
}

static __always_inline __u32 mix_word(__u32 hash, __u32 word)
{
	return rotate(hash ^ rotate(word * 0xcc9e2d51, 15) * 0x1b873593, 13) * 5 + 0xe6546b64;
}

static __always_inline __u32 finish_hash(__u32 hash)
{
	hash = (hash ^ hash >> 16) * 0x85ebca6b;
	hash = (hash ^ hash >> 13) * 0xc2b2ae35;
	return hash ^ hash >> 16;
}

#endif
