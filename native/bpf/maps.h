/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_MAPS_H
#define INBAND_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "inband.h"

/* Sizes of maps here stand for those that TypeScript sets before it loads the program. */

const volatile __u32 inband_abi = INBAND_ABI;
const volatile struct inband_config config;

/* Whether somebody reads the ring of samples. */
volatile __u64 listening;

volatile struct inband_probe_source probe_source;

#define MAPPED_ARRAY(name, type_of_value)                \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_ARRAY);        \
		__uint(map_flags, BPF_F_MMAPABLE);       \
		__uint(max_entries, 1);                  \
		__type(key, __u32);                      \
		__type(value, type_of_value);            \
	} name SEC(".maps")

/* Open addressing with linear probing. */
MAPPED_ARRAY(vips, struct inband_vip);
/* The vips' tables after one another, 4 slots of 16 bits in each entry: the kernel spaces entries by 8 bytes. */
MAPPED_ARRAY(slots, __u64);
MAPPED_ARRAY(backends, struct inband_backend);
MAPPED_ARRAY(flows, struct inband_flow_set);
/* By backend. */
MAPPED_ARRAY(members, struct inband_member);
/* By CPU, and the sweep's. */
MAPPED_ARRAY(counters, struct inband_counters);
/* By CPU and backend, see `cell_of`; a row for the sweep is there as well. Flows that ended. */
MAPPED_ARRAY(ended, __u64);
MAPPED_ARRAY(signals, struct inband_signals);
/* By CPU and backend. */
MAPPED_ARRAY(traffic, struct inband_traffic);
MAPPED_ARRAY(gap_counts, struct inband_gaps);
/* By CPU. */
MAPPED_ARRAY(prefixes, struct inband_prefixes);
/* By CPU, backend and place of the kind. */
MAPPED_ARRAY(histograms, struct inband_histogram);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} probes SEC(".maps");

#ifdef INBAND_TEST_CLOCK
/* The test build's time and CPU: tests decide both. */
volatile __u64 test_now_ns;
volatile __u64 test_cpu;
#endif

static __always_inline __u64 clock_ns(void)
{
#ifdef INBAND_TEST_CLOCK
	return test_now_ns;
#else
	return bpf_ktime_get_ns();
#endif
}

static __always_inline __u32 this_cpu(void)
{
#ifdef INBAND_TEST_CLOCK
	return test_cpu;
#else
	return bpf_get_smp_processor_id();
#endif
}

static __always_inline void *entry(void *map, __u32 index)
{
	return bpf_map_lookup_elem(map, &index);
}

/* The number of a word's highest bit, without branches that latencies would have mispredicted; 0 for 0. */
static __always_inline __u32 log2_of(__u64 word)
{
	__u64 bit = 0;

	for (__u32 bits = 32; bits; bits /= 2) {
		/* The top bit of a negative number: the word has bits beyond these. */
		__u64 more = (((1ULL << bits) - 1 - word) >> 63) * bits;

		word >>= more;
		bit += more;
	}
	return bit;
}

/* Where what is kept of a CPU and a backend is. */
static __always_inline __u32 cell_of(__u32 cpu, __u32 backend)
{
	return cpu * config.backend_count + backend;
}

static __always_inline struct inband_signals *signals_of(__u32 cpu, __u32 backend)
{
	return entry(&signals, cell_of(cpu, backend));
}

static __always_inline struct inband_traffic *traffic_of(__u32 cpu, __u32 backend)
{
	return entry(&traffic, cell_of(cpu, backend));
}

#endif
