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
enum inband_abi { INBAND_ABI = 3 };

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
	/* Of `auto`: bits by which ns are shifted to ticks, in which flows keep times. */
	INBAND_TICK_BITS = 6,
	/* A pause of more than 2^this ns in a flow makes its times in ticks worthless. */
	INBAND_PAUSE_BITS = 36,
	/* Messages in flight that a flow of `auto` remembers. */
	INBAND_FIFO_DEPTH = 8,
	/* Bits of what shares a byte of a flow with something else. */
	INBAND_DISTRUST_BITS = 6,
	INBAND_RESPONSE_BITS = 4,
	INBAND_PHASE_BITS = 5,
	INBAND_FLIGHT_BITS = 4,
	/* Compared with at most twice the messages in flight: more need not be counted. */
	INBAND_TRUST_MAX = 63,
	/* Buckets of gaps, see src/latency/gap-cut.ts. */
	INBAND_GAP_BUCKETS = 35,
	/* Of the wheel of requests in flight; 2^14 ticks each, see src/latency/wheel-signals.ts. */
	INBAND_WHEEL_BUCKETS = 128,
	/* Counts of samples by client prefix, see src/latency/prefix.ts. */
	INBAND_PREFIX_ENTRIES = 4096,
	/* Bytes of a probe's answer that is handed on: what an Ethernet frame carries, and some more. */
	INBAND_PROBE_BYTES_MAX = 1536,
	/* Sets of the flow table that one call looks at. */
	INBAND_SWEEP_SETS_MAX = 4096,
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
	/* Answered by a RST in the name of the vip: its flow's backend is lost. */
	INBAND_REASON_RESET,
	/* To user space, and not to the kernel: what a vip answers to a probe. */
	INBAND_REASON_PROBE,
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

/* What samples of a vip's flows come from. */
enum inband_estimator {
	/* `handshake` and `ensemble`. */
	INBAND_ESTIMATOR_ENSEMBLE,
	/* All but `ensemble`. */
	INBAND_ESTIMATOR_AUTO,
};

/* Kinds of samples. */
enum inband_kind {
	/* From the SYN to the ACK that the SYN-ACK triggers. */
	INBAND_KIND_HANDSHAKE,
	/* ACK advance with one message in flight. */
	INBAND_KIND_REQUEST,
	/* ACK advance with several. */
	INBAND_KIND_PIPELINED,
	/* By the server's timestamps; may be negative. */
	INBAND_KIND_SERVER,
	/* Pauses between batches. */
	INBAND_KIND_GAP,
	/* QUIC's handshake and its spin bit. */
	INBAND_KIND_QUIC,
	/* ENSEMBLETIMEOUT. */
	INBAND_KIND_ENSEMBLE,
	INBAND_KIND_COUNT,
};

/* Flags of a TCP flow of `auto`, as in src/latency/tcp-state.ts. */
enum inband_tcp {
	INBAND_TCP_OPENING = 1,
	INBAND_TCP_SYN_AGAIN = 2,
	INBAND_TCP_ANCHORED = 4,
	INBAND_TCP_ASKED = 8,
	INBAND_TCP_TAINTED = 16,
	INBAND_TCP_UNFINISHED = 32,
	INBAND_TCP_PURE_ADVANCE = 64,
	INBAND_TCP_SURPLUS = 128,
	INBAND_TCP_PIPELINED = 256,
	INBAND_TCP_MERGED = 512,
	INBAND_TCP_EAGER = 1024,
	INBAND_TCP_FLIGHT = 2048,
	INBAND_TCP_RESPONDING = 4096,
	INBAND_TCP_ADVANCED = 8192,
	INBAND_TCP_BOUNDED = 16384,
	INBAND_TCP_HEARD = 32768,
};

/* More flags of a TCP flow of `auto`, beside its `trust`. */
enum inband_trust {
	INBAND_TRUST_LONE = 0x40,
	INBAND_TRUST_STAMPED = 0x80,
};

/* Flags of `gap`. */
enum inband_gap {
	/* The ACK number, since the last packet that counts. */
	INBAND_GAP_MOVED = 1,
	/* The UDP packet before is as large as any. */
	INBAND_GAP_FULL = 2,
	/* A SYN is not answered yet. */
	INBAND_GAP_OPENING = 4,
	/* Instead of a cut. */
	INBAND_GAP_NO_CUT = 255,
};

/* What a flow waits for: nothing (it is not QUIC, or not from its start), the server's answer, turns of the spin bit. */
enum inband_quic_state {
	INBAND_QUIC_SILENT,
	INBAND_QUIC_INITIAL,
	INBAND_QUIC_SPINNING,
};

/* Flags of `quic`. */
enum inband_quic {
	/* Several Initials may be what is answered. */
	INBAND_QUIC_AMBIGUOUS = 1,
	INBAND_QUIC_TOKEN = 2,
	/* A value of the spin bit is known, and a turn of it; the value, where packets have it. */
	INBAND_QUIC_VALUE_KNOWN = 4,
	INBAND_QUIC_TURN_KNOWN = 8,
	INBAND_QUIC_SPIN = 0x20,
};

/* As in src/flow/table.ts. */
enum inband_state {
	INBAND_STATE_NEW = 1,
	INBAND_STATE_ESTABLISHED = 2,
	INBAND_STATE_CLOSING = 3,
	/* Beside the state: the flow is measured by `auto`. */
	INBAND_STATE_AUTO = 0x40,
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
	/* Numbers that backends may have. */
	__u32 backend_count;
	__u32 timeout_count;
	/* What is added to both counts of a ratio: this, and the count of the smallest timeout >> cliff_shift. */
	__u32 cliff_more;
	__u32 cliff_shift;
	/* Of the hash of client prefixes. */
	__u32 prefix_seed;
	/* Samples of a client prefix that count per backend, kind and window; 0 is no limit. */
	__u32 samples_per_prefix;
	/* Kinds that histograms are there for, and where among them each is; INBAND_KIND_COUNT where it is not. */
	__u32 kind_count;
	__u8 kind_places[8];
	/* Rows of what is kept per CPU; the sweep, which a CPU may interrupt, has the one behind them. */
	__u32 cpu_count;
	__u8 pad[44];
};

/* Instead of a protocol, in an entry of the table of vips. */
enum inband_place {
	/* Here a search ends. */
	INBAND_PLACE_EMPTY = 0,
	/* A vip was here, and others may be behind. */
	INBAND_PLACE_LEFT = 255,
};

enum inband_vip_flag {
	/* It is not configured any more: takes no new flows. */
	INBAND_VIP_FLAG_GONE = 1,
};

/* What packets of a lost backend's flows meet. */
enum inband_fate {
	INBAND_FATE_KEEP,
	INBAND_FATE_RESTEER,
	INBAND_FATE_RESET,
};

/* An entry of the table of vips. The first three members are the key, which is written last. */
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
	__u16 index;
	/* enum inband_estimator */
	__u8 estimator;
	/* enum inband_vip_flag */
	__u8 flags;
	/* enum inband_fate of backends that a configuration leaves out; the program does not read it. */
	__u8 lost_flows;
	__u8 pad2[7];
};

/* A backend's `hop`. */
enum inband_hop {
	/* The interface's index; 0 while it cannot be used. */
	INBAND_HOP_INTERFACE_BITS = 28,
	/* Its flows meet their fate; that is to be reset. The first makes a hop negative. */
	INBAND_HOP_RESET_BIT = 30,
	INBAND_HOP_LOST_BIT = 31,
};

/* Where to send a backend's frames. */
struct inband_backend {
	/* Destination and source, 6 bytes each, as the frame begins. */
	__be32 mac_addresses[3];
	/* enum inband_hop */
	__s32 hop;
};

enum inband_member_flag {
	INBAND_MEMBER_FLAG_USED = 1,
	/* It is not configured any more; flows or slots may hold its number. */
	INBAND_MEMBER_FLAG_GONE = 2,
};

/* What a backend's number stands for; the program does not read it. */
struct inband_member {
	__be32 addr_be;
	/* Of its vip, in the table of vips. */
	__u16 vip_place;
	/* enum inband_member_flag */
	__u8 flags;
	__u8 pad;
};

/*
 * A flow, in two adjacent cache lines, of which what a flow of `ensemble` needs is in the first. The key is the whole of
 * what tells flows apart, so that a collision of hashes costs a comparison and can never send a packet to another flow's
 * backend: client address, client port (both as on the wire), place of the vip's entry in its table + 1. 0 is a free line.
 */
struct inband_flow {
	__u64 key;
	__u64 last_ns;
	/* Sequence number of the SYN that made it; 0 if another packet did. */
	__u32 isn;
	/* In the first line of a set: flows that are in a later choice of theirs because this set was full. */
	__u32 spilled;
	/* enum inband_state */
	__u8 state;
	/* Which of its choices its set is, 0 to INBAND_CHOICES-1. */
	__u8 choice;
	__u16 backend;
	union {
		/* Of `ensemble`: first packet of the last batch for each timeout, INBAND_BATCH_TIME_BITS bits of its time. */
		struct {
			__u32 batch_low[INBAND_TIMEOUTS_MAX];
			__u8 batch_high[INBAND_TIMEOUTS_MAX];
			__u8 pad1;
		};
		/* Of a TCP flow of `auto`: src/latency/tcp-state.ts says what these are. Times and durations are in ticks. */
		struct {
			__u32 snd_max;
			__u32 ack_max;
			__u32 head;
			__s32 handshake;
			__s32 late;
			__u32 advance_tick;
			/* enum inband_tcp */
			__u16 flags;
			__u16 mss;
			__u16 last_bytes;
			__u16 flight_bytes;
			__u16 flight_bytes_max;
			/* Messages in flight; 0 of a UDP flow. */
			__u8 count;
			/* `distrust` in INBAND_DISTRUST_BITS bits, `votes` above. */
			__u8 distrust;
		};
		/* Of a UDP flow of `auto`. */
		struct {
			/* Of `quic`, in ticks: the last Initial, later the last turn of the spin bit. */
			__u32 quic_time;
			/* First bytes of the destination's connection ID. */
			__u32 quic_id;
			__u32 quic_version;
			__s32 quic_handshake;
			__s32 quic_mean;
			__s32 quic_deviation;
			__u8 quic_id_length;
			/* enum inband_quic_state */
			__u8 quic_state;
			/* enum inband_quic */
			__u8 quic_flags;
			__u8 quic_periods;
			/* Of `gap`: the largest packet, in bytes from the IP header on, up to 65535. */
			__u16 gap_size;
			__u16 pad2[3];
		};
	};
	/* Of `gap`, in ticks: the last packet that counts, and the first of this batch. */
	__u32 gap_last;
	__u32 gap_batch;
	/* The last ACK number. */
	__u32 gap_ack;
	/* More of a TCP flow of `auto`. */
	__u32 anchor_tick;
	__u32 anchor_stamp;
	__s32 phase_min;
	__s32 phase_max;
	union {
		__u32 ring[INBAND_FIFO_DEPTH - 1];
		struct {
			__u32 probe_seq;
			__u32 probe_bytes;
			__u32 probe_tick;
			__u32 pad3[INBAND_FIFO_DEPTH - 4];
		};
	};
	__u16 response_bytes;
	/* `responseCount` in INBAND_RESPONSE_BITS bits, `ringAt` above. */
	__u8 response_count;
	/* `phaseCount` in INBAND_PHASE_BITS bits, `clean` above. */
	__u8 phase_count;
	/* `flightMax` in INBAND_FLIGHT_BITS bits, `early` above. */
	__u8 flight_max;
	/* `trust`, up to INBAND_TRUST_MAX, and enum inband_trust. */
	__u8 trust;
	/* enum inband_gap */
	__u8 gap_flags;
	/* Cut by which the batch began; INBAND_GAP_NO_CUT: when it began is not known. */
	__u8 gap_cut;
};

struct inband_flow_set {
	struct inband_flow lines[INBAND_WAYS];
};

/* Per CPU. */
struct inband_counters {
	/* By enum inband_reason. */
	__u64 packets[INBAND_REASON_COUNT];
	/* Flows that began; each ends under one of the seven below, or still holds its line. */
	__u64 created;
	/* By RST. */
	__u64 closed;
	/* By a new SYN on the same addresses and ports. */
	__u64 reopened;
	/* Idle for longer than their state allows. */
	__u64 idle;
	/* Their backend was lost: they began anew elsewhere. */
	__u64 resteered;
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
	/* Samples beyond what their client's prefix may add. */
	__u64 samples_limited;
	/* Answers to probes that were too long, or that nobody read in time. */
	__u64 probes_lost;
	__u64 pad[6];
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

/* Per CPU and backend: its clock of timestamps, see src/latency/server-clock.ts. */
struct inband_clock {
	__u32 tick;
	__u32 votes;
	__u32 checked;
	__s32 mean;
	__s32 elsewhere;
	__u32 pad;
};

/* Per CPU and backend: where gaps between packets separate batches, see src/latency/gap.ts. */
struct inband_gaps {
	/* In this epoch, and when it began in ticks. */
	__u32 gaps;
	__u32 since;
	/* In ticks; 0 before the first. */
	__s32 handshake;
	/* Smallest bucket that separates batches, 0 without one; epochs in a row that asked for another. */
	__u8 cut;
	__u8 streak;
	__u16 pad1;
	/* Gaps by size, older epochs halved. */
	__u32 histogram[INBAND_GAP_BUCKETS];
	__u32 pad2[3];
	/* What the server's timestamps tell beside. */
	struct inband_clock clock;
};

/* Per CPU and backend: words of src/latency/wheel-signals.ts, which all wrap. */
struct inband_signals {
	__u32 flows;
	__u32 syn_retransmits;
	__u32 handshakes;
	__u32 requests;
	__u32 responses;
	__u32 segments;
	__u32 retransmits;
	__u32 resets;
	__u32 in_flight;
	__u32 pad[7];
	/* Requests in flight by when they were sent. */
	__u32 wheel[INBAND_WHEEL_BUCKETS];
};

/* Per CPU: samples by client prefix, backend and kind in a window, see src/latency/prefix.ts. */
struct inband_prefixes {
	__u32 entries[INBAND_PREFIX_ENTRIES];
};

/* Per CPU, backend and kind. `count` is written last. */
struct inband_histogram {
	__u64 count;
	/* Negative samples count as what they are here, and in the first bin. */
	__s64 sum_ns;
	/* The latest sample, and when it was taken. */
	__s64 last_ns;
	__u64 last_time_ns;
	__u64 pad[4];
	__u32 bins[INBAND_BIN_COUNT];
};

/* What the ring holds while somebody listens. */
struct inband_sample {
	/* Of the packet that completed it. */
	__u64 time_ns;
	__s64 latency_ns;
	__be32 client_addr_be;
	__be16 client_port_be;
	__u16 vip;
	__u16 backend;
	/* enum inband_kind; in the ring, its place in `kind_places`. */
	__u8 kind;
	__u8 pad[5];
};

/* Whose packets from vips are answers to probes; none while the address is 0. Written at once. */
struct inband_probe_source {
	__be32 addr_be;
	__u16 port_first;
	__u16 port_last;
};

/* An answer to a probe, from the IP header on. */
struct inband_probe {
	__u32 bytes;
	__u32 pad;
	__u8 packet[INBAND_PROBE_BYTES_MAX];
};

/* The part of the flow table that a sweep is to look at; up to INBAND_SWEEP_SETS_MAX sets. */
struct inband_sweep {
	__u32 set_first;
	__u32 set_count;
};

_Static_assert(sizeof(struct inband_config) == 256, "inband_config");
_Static_assert(sizeof(struct inband_vip) == 32, "inband_vip");
_Static_assert(sizeof(struct inband_backend) == 16, "inband_backend");
_Static_assert(sizeof(struct inband_member) == 8, "inband_member");
_Static_assert(sizeof(struct inband_probe_source) == 8, "inband_probe_source");
_Static_assert(sizeof(struct inband_flow) == 128, "inband_flow is two cache lines");
_Static_assert(__builtin_offsetof(struct inband_flow, gap_last) == 64, "inband_flow's second line");
_Static_assert(sizeof(struct inband_flow_set) == 1024, "inband_flow_set");
_Static_assert(sizeof(struct inband_counters) % 64 == 0, "inband_counters shares no cache line");
_Static_assert(sizeof(struct inband_traffic) == 64, "inband_traffic is one cache line");
_Static_assert(sizeof(struct inband_gaps) % 64 == 0, "inband_gaps shares no cache line");
_Static_assert(sizeof(struct inband_signals) == 576, "inband_signals shares no cache line");
_Static_assert(sizeof(struct inband_prefixes) % 64 == 0, "inband_prefixes shares no cache line");
_Static_assert(sizeof(struct inband_histogram) % 64 == 0, "inband_histogram shares no cache line");
_Static_assert(sizeof(struct inband_sample) == 32, "inband_sample");

#endif
