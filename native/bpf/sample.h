/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_SAMPLE_H
#define INBAND_SAMPLE_H

#include <bpf/bpf_endian.h>
#include "hash.h"
#include "maps.h"

/* Windows of 8.4 ms. */
#define PREFIX_WINDOW_BITS 23

/* The bin of a latency below 2^INBAND_LATENCY_BITS ns. */
static __always_inline __u32 bin_of(__u64 latency_ns)
{
	__u64 units = latency_ns >> INBAND_BIN_UNIT_BITS;
	__u32 octave;

	if (units < 1 << INBAND_BIN_SUB_BITS)
		return units;
	/* Of the bits below the top one, the first four count; the first octave is the one that is not linear. */
	octave = log2_of(units) - INBAND_BIN_SUB_BITS;
	return (octave << INBAND_BIN_SUB_BITS) + (units >> octave);
}

/*
 * Whether the client's prefix may add one more sample of this kind to the backend now; counts it if so. The same as
 * `PrefixLimit` of src/latency/prefix.ts, on each CPU by itself.
 */
static __always_inline int admits(const struct inband_sample *sample, __u32 cpu, __u32 kind_place)
{
	struct inband_prefixes *counts = entry(&prefixes, cpu);
	__u32 window = sample->time_ns >> PREFIX_WINDOW_BITS & 0xffffff;
	__u32 hash, at, count;

	if (!config.samples_per_prefix)
		return 1;
	if (!counts)
		return 0;
	hash = mix_word(config.prefix_seed, kind_place << 16 ^ sample->backend);
	hash = mix_word(hash, bpf_ntohl(sample->client_addr_be) >> 8);
	at = finish_hash(mix_word(hash, ~0U)) & (INBAND_PREFIX_ENTRIES - 1);
	count = counts->entries[at] >> 8 == window ? counts->entries[at] & 0xff : 0;
	if (count >= config.samples_per_prefix)
		return 0;
	counts->entries[at] = window << 8 | (count + 1);
	return 1;
}

/* Records a sample and, when somebody listens, hands it on. */
__noinline int record_sample(const struct inband_sample *sample, __u32 cpu)
{
	struct inband_counters *counted = entry(&counters, cpu);
	struct inband_histogram *histogram;
	struct inband_sample *record;
	__s64 latency_ns;
	__u64 size_ns;
	__u32 bin, place;

	if (!sample || !counted)
		return -1;
	latency_ns = sample->latency_ns;
	place = config.kind_places[sample->kind & 7];
	/* A flow that was there before the program may be measured by what no vip asks for any more. */
	if (place >= config.kind_count)
		return 0;
	histogram = entry(&histograms, (cpu * config.backend_count + sample->backend) * config.kind_count + place);
	if (!histogram)
		return -1;
	/* Only the server's own time may be negative. */
	size_ns = latency_ns < 0 && sample->kind == INBAND_KIND_SERVER ? -latency_ns : latency_ns;
	if (size_ns >> INBAND_LATENCY_BITS) {
		counted->samples_dropped++;
		return 0;
	}
	if (!admits(sample, cpu, place)) {
		counted->samples_limited++;
		return 0;
	}
	bin = latency_ns < 0 ? 0 : bin_of(latency_ns);
	/* Compared and used as the same number of bits, which the verifier needs. */
	barrier_var(bin);
	if (bin < INBAND_BIN_COUNT)
		histogram->bins[bin]++;
	histogram->sum_ns += latency_ns;
	histogram->last_ns = latency_ns;
	histogram->last_time_ns = sample->time_ns;
	barrier();
	histogram->count++;
	if (!listening)
		return 0;
	record = bpf_ringbuf_reserve(&samples, sizeof(*record), 0);
	if (!record) {
		counted->samples_lost++;
		return 0;
	}
	*record = *sample;
	record->kind = place;
	/* The reader comes on its own tick. */
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif
