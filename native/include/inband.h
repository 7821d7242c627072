/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_H
#define INBAND_H

#include <linux/types.h>

/*
 * Everything that crosses between the XDP program and TypeScript. native/layout.mjs turns it into
 * src/generated/layout.ts. Numbers are in host order unless their type says otherwise. Times are on the monotonic
 * clock, in ns. Memory per CPU is indexed [cpu][backend], so that no two CPUs write to one cache line.
 */

/* Raised with every change of what this file means that its layouts do not show; compared when a program is loaded. */
enum inband_abi { INBAND_ABI = 1 };

enum inband_limit {
	INBAND_TIMEOUTS_MAX = 7,
	/* VLAN tags followed, as in src/net/constants.ts. */
	INBAND_VLAN_TAGS_MAX = 4,
	/* Probes for a vip; the table is made large enough. */
	INBAND_VIP_PROBES_MAX = 8,
	/* Their table is at most 8 times as large, and its places have to fit into the top of a flow's key. */
	INBAND_VIPS_MAX = 4096,
	/* Lines in a set of the flow table. */
	INBAND_WAYS = 8,
	/* Sets in which a flow may be. */
	INBAND_CHOICES = 4,
	/* 64-bit words that key the hash of the flow table. */
	INBAND_SECRET_WORDS = 6,
	/* Bits of a batch's time that a flow keeps: they wrap after 18 minutes. */
	INBAND_BATCH_TIME_BITS = 40,
	/* Latencies of 2^this ns (9 minutes) and more are dropped: half of the above, so that a negative one is told apart. */
	INBAND_LATENCY_BITS = 39,
};

/* The top 16 bits of a flow's key that belong to no vip. */
enum inband_key {
	/* A line that a CPU is filling. */
	INBAND_KEY_BUSY = 0xffff,
};

/*
 * Bins of latencies, log-linear. Up to 2^10 ns, 16 bins of 64 ns; from there on, 16 equal bins in each octave, so that a
 * bin is 1/16 to 1/31 of its latency wide. `bin_of` in native/bpf/sample.h and `binOf` in src/latency/bins.ts agree.
 */
enum inband_bin {
	INBAND_BIN_UNIT_BITS = 6,
	INBAND_BIN_SUB_BITS = 4,
	INBAND_BIN_COUNT = 480,
};

/* How a packet left the program; each one leaves in exactly one way. From NOT_VIP on: to the kernel, unchanged. */
enum inband_reason {
	/* To its backend, by the interface that it came from. */
	INBAND_REASON_TX,
	/* To its backend, by another interface. */
	INBAND_REASON_REDIRECT,
	/* Dropped: its backend, or the one in its slot, cannot be used. */
	INBAND_REASON_NO_BACKEND,
	/* TCP or UDP, but to no vip. */
	INBAND_REASON_NOT_VIP,
	INBAND_REASON_NOT_IP,
	INBAND_REASON_IPV6,
	INBAND_REASON_NOT_TCP_OR_UDP,
	/* Not the first fragment of its packet: it has no ports. */
	INBAND_REASON_FRAGMENT,
	/* Ends before its headers do. */
	INBAND_REASON_TRUNCATED,
	/* Headers contradict each other or the length of the frame. */
	INBAND_REASON_MALFORMED,
	INBAND_REASON_COUNT,
};

/* Kinds of samples. */
enum inband_kind {
	/* From the SYN to the ACK that the SYN-ACK triggers. */
	INBAND_KIND_HANDSHAKE,
	/* ENSEMBLETIMEOUT. */
	INBAND_KIND_ENSEMBLE,
	INBAND_KIND_COUNT,
};

/* As in src/flow/table.ts. */
enum inband_state {
	INBAND_STATE_NEW = 1,
	INBAND_STATE_ESTABLISHED = 2,
	INBAND_STATE_CLOSING = 3,
	/* Beside the state: the next packet may complete the handshake. */
	INBAND_STATE_HANDSHAKE = 0x80,
};

/* What the program is told before it is verified; constant from then on. */
struct inband_config {
	/* Of the flow table's hash. */
	__u64 secret[INBAND_SECRET_WORDS];
	/* Increasing; those not used are the largest signed number. */
	__u64 timeout_ns[INBAND_TIMEOUTS_MAX];
	__u64 epoch_ns;
	/* Idle time after which a flow is forgotten, by its state; entry 0 is not used. */
	__u64 idle_ns[4];
	/* Idle time from which an established flow may make room for another. */
	__u64 evictable_ns;
	/* Of the vips' hash: (key * multiplier) >> shift is where the search for a vip starts. */
	__u64 vip_multiplier;
	__u32 vip_shift;
	/* Entries of the table of vips less 1. */
	__u32 vip_mask;
	/* Sets of the flow table. */
	__u32 set_count;
	__u32 backend_count;
	__u32 timeout_count;
	/* What is added to both counts of a ratio: this, and the count of the smallest timeout >> cliff_shift. */
	__u32 cliff_more;
	__u32 cliff_shift;
	__u32 pad;
};

/* An entry of the table of vips. The first three members are the key; an empty entry has protocol 0. */
struct inband_vip {
	__be32 addr_be;
	__be16 port_be;
	__u8 proto;
	__u8 pad1;
	/* Of the slot hash, see src/maglev/hash.ts. */
	__u32 seed;
	__u32 slot_count;
	/* Where its table starts, in slots; a multiple of 4. */
	__u32 slot_first;
	/* Number of its first backend: slots hold numbers from there on. */
	__u16 backend_first;
	__u16 index;
	__u64 pad2;
};

/* Where to send a backend's frames. Not used while `ifindex` is 0. */
struct inband_backend {
	/* Destination and source, 6 bytes each, as the frame begins. */
	__be32 mac_addresses[3];
	__u32 ifindex;
};

/*
 * A flow, in one cache line. The key is the whole of what tells flows apart, so that a collision of hashes costs a
 * comparison and can never send a packet to another flow's backend: client address, client port (both as on the wire),
 * place of the vip's entry in its table + 1. 0 is a free line.
 */
struct inband_flow {
	__u64 key;
	__u64 last_ns;
	/* First packet of the last batch for each timeout, the lower INBAND_BATCH_TIME_BITS bits. */
	__u32 batch_low[INBAND_TIMEOUTS_MAX];
	/* Sequence number of the SYN that made it; 0 if another packet did. */
	__u32 isn;
	/* In the first line of a set: flows that are in a later choice of theirs because this set was full. */
	__u32 spilled;
	__u8 batch_high[INBAND_TIMEOUTS_MAX];
	/* enum inband_state */
	__u8 state;
	__u16 backend;
	/* Which of its choices its set is, 0 to INBAND_CHOICES-1. */
	__u8 choice;
	__u8 pad;
};

struct inband_flow_set {
	struct inband_flow lines[INBAND_WAYS];
};

/* Per CPU. */
struct inband_counters {
	/* By enum inband_reason. */
	__u64 packets[INBAND_REASON_COUNT];
	/* Flows that began; each ends under one of the six below, or still holds its line. */
	__u64 created;
	/* By RST. */
	__u64 closed;
	/* By a new SYN on the same addresses and ports. */
	__u64 reopened;
	/* Idle for longer than their state allows. */
	__u64 idle;
	/* Made room for another: seen once, or closing. */
	__u64 evicted_unestablished;
	/* Made room for another: idle for `evictable_ns`. */
	__u64 evicted_idle;
	/* New flows that found no room: all lines of all their sets are established and in use. */
	__u64 refused;
	/* New flows that lost the race for a line to another CPU. */
	__u64 contended;
	/* Packets without a line: routed by their slot, not measured. */
	__u64 untracked;
	/* Samples that are negative or too long to be a latency. */
	__u64 samples_dropped;
	/* Samples that did not fit into the ring: its reader is slow. They are in the histogram. */
	__u64 samples_lost;
	__u64 pad[3];
};

/* Per CPU and backend: its traffic, and ENSEMBLETIMEOUT's epoch. */
struct inband_traffic {
	__u64 packets;
	/* From the IP header on. */
	__u64 bytes;
	/* Flows that began here. */
	__u64 flows;
	/* 0 before the first packet that can yield a sample. */
	__u64 epoch_start_ns;
	/* Gaps longer than each timeout in this epoch. */
	__u32 gaps[INBAND_TIMEOUTS_MAX];
	/* Number of the chosen timeout + 1; 0 before the first epoch has ended. */
	__u32 chosen;
};

/* Per CPU, backend and kind. `count` is written last. */
struct inband_histogram {
	__u64 count;
	__u64 sum_ns;
	/* The latest sample, and when it was taken. */
	__u64 last_ns;
	__u64 last_time_ns;
	__u64 pad[4];
	__u32 bins[INBAND_BIN_COUNT];
};

/* What the ring holds while somebody listens. */
struct inband_sample {
	/* Of the packet that completed it. */
	__u64 time_ns;
	__u64 latency_ns;
	__be32 client_addr_be;
	__be16 client_port_be;
	__u16 vip;
	__u16 backend;
	/* enum inband_kind */
	__u8 kind;
	__u8 pad[5];
};

_Static_assert(sizeof(struct inband_config) == 192, "inband_config");
_Static_assert(sizeof(struct inband_vip) == 32, "inband_vip");
_Static_assert(sizeof(struct inband_backend) == 16, "inband_backend");
_Static_assert(sizeof(struct inband_flow) == 64, "inband_flow is one cache line");
_Static_assert(sizeof(struct inband_flow_set) == 512, "inband_flow_set");
_Static_assert(sizeof(struct inband_counters) % 64 == 0, "inband_counters shares no cache line");
_Static_assert(sizeof(struct inband_traffic) == 64, "inband_traffic is one cache line");
_Static_assert(sizeof(struct inband_histogram) % 64 == 0, "inband_histogram shares no cache line");
_Static_assert(sizeof(struct inband_sample) == 32, "inband_sample");

#endif
