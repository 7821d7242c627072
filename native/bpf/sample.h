/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_SAMPLE_H
#define INBAND_SAMPLE_H

#include <bpf/bpf_endian.h>
#include "maps.h"

/* The bin of a latency below 2^INBAND_LATENCY_BITS ns. */
static __always_inline __u32 bin_of(__u64 latency_ns)
{
	__u64 units = latency_ns >> INBAND_BIN_UNIT_BITS;
	__u32 octave = 0;

	if (units < 1 << INBAND_BIN_SUB_BITS)
		return units;
	for (int bits = 32; bits; bits /= 2) {
		if (units >> octave >> bits)
			octave += bits;
	}
	/* The octave counts from the first that is not linear; of the bits below the top one, the first four count. */
	octave -= INBAND_BIN_SUB_BITS;
	return (octave << INBAND_BIN_SUB_BITS) + (units >> octave);
}

/* Records a sample and, when somebody listens, hands it on. */
__noinline int record_sample(const struct inband_sample *sample, __u32 cpu)
{
	struct inband_counters *counted = entry(&counters, cpu);
	struct inband_histogram *histogram;
	struct inband_sample *record;
	__u64 latency_ns;
	__u32 bin;

	if (!sample || !counted)
		return -1;
	latency_ns = sample->latency_ns;
	histogram = entry(&histograms, (cpu * config.backend_count + sample->backend) * INBAND_KIND_COUNT + sample->kind);
	if (!histogram)
		return -1;
	if (latency_ns >> INBAND_LATENCY_BITS) {
		counted->samples_dropped++;
		return 0;
	}
	bin = bin_of(latency_ns);
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
	/* The reader comes on its own tick. */
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif
