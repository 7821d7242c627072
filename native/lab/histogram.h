/* SPDX-License-Identifier: Apache-2.0 */
/* Log-linear histogram of durations in ns: 128 bins for each power of two, so an error of at most 0.4 %. */
#pragma once

#include <stdint.h>

/* Durations below 2^8 ns have a bin each. */
#define LINEAR_BITS 8
/* Longer durations count as this one: 2^36 ns, 69 s. */
#define MAX_BITS 36
#define HISTOGRAM_BINS ((MAX_BITS - LINEAR_BITS + 2) << (LINEAR_BITS - 1))

struct histogram {
	uint64_t count, max_ns;
	uint32_t bins[HISTOGRAM_BINS];
};

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
	unsigned int shift = 0;

	h->count++;
	if (ns > h->max_ns)
		h->max_ns = ns;
	if (ns >> MAX_BITS)
		ns = (1ull << MAX_BITS) - 1;
	if (ns >> LINEAR_BITS)
		shift = 64 - (unsigned int)__builtin_clzll(ns) - LINEAR_BITS;
	/* Shifted, ns lies in the upper half of the linear range: each shift adds half a range of bins. */
	h->bins[(shift << (LINEAR_BITS - 1)) + (ns >> shift)]++;
}

static inline void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	for (unsigned int i = 0; i < HISTOGRAM_BINS; i++)
		into->bins[i] += from->bins[i];
}

/* The middle of a bin. */
static inline uint64_t histogram_value(unsigned int bin)
{
	unsigned int shift = bin >> LINEAR_BITS ? (bin >> (LINEAR_BITS - 1)) - 1 : 0;
	uint64_t lowest = (uint64_t)(bin - (shift << (LINEAR_BITS - 1))) << shift;

	return lowest + ((1ull << shift) >> 1);
}

/* The duration that a fraction of all does not exceed; never above the longest. 0 for an empty histogram. */
static inline uint64_t histogram_quantile(const struct histogram *h, double fraction)
{
	double wanted = fraction * (double)h->count;
	uint64_t seen = 0;

	for (unsigned int bin = 0; bin < HISTOGRAM_BINS; bin++) {
		seen += h->bins[bin];
		if (seen && (double)seen >= wanted)
			return histogram_value(bin) < h->max_ns ? histogram_value(bin) : h->max_ns;
	}
	return h->max_ns;
}
