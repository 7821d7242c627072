/* SPDX-License-Identifier: Apache-2.0 */
/* What the load generator counts, and the JSON lines it prints. */
#pragma once

#include <inttypes.h>
#include <stdio.h>

#include "histogram.h"

enum failure { CONNECT_FAILED, RESET, TIMED_OUT, WRONG_REPLY, FAILURES };

static const char *const failure_names[FAILURES] = { "connect_failures", "resets", "timeouts", "wrong_replies" };
static const char *const failure_ends[FAILURES] = { "connect_failed", "reset", "timed_out", "wrong_reply" };

struct tally {
	uint64_t connects, misses, failures[FAILURES];
	struct histogram get, set;
};

static void tally_merge(struct tally *into, const struct tally *from)
{
	into->connects += from->connects;
	into->misses += from->misses;
	for (unsigned int i = 0; i < FAILURES; i++)
		into->failures[i] += from->failures[i];
	histogram_merge(&into->get, &from->get);
	histogram_merge(&into->set, &from->set);
}

/* Latencies in us; null where nothing was measured. */
static void print_latencies(const struct histogram *h)
{
	static const struct {
		const char *name;
		double fraction;
	} quantiles[] = { { "p50_us", 0.50 }, { "p95_us", 0.95 }, { "p99_us", 0.99 }, { "max_us", 1.0 } };

	printf("\"requests\":%" PRIu64, h->count);
	for (unsigned int i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++)
		if (h->count)
			printf(",\"%s\":%.3f", quantiles[i].name,
			       (double)histogram_quantile(h, quantiles[i].fraction) / 1e3);
		else
			printf(",\"%s\":null", quantiles[i].name);
}

/* One line: `head` with the members only this kind of line has, then the counts, then latencies. */
static void print_tally(const char *head, const struct tally *tally)
{
	static struct histogram all;
	uint64_t errors = 0;

	all = tally->get;
	histogram_merge(&all, &tally->set);
	printf("{%s,", head);
	print_latencies(&all);
	for (unsigned int i = 0; i < FAILURES; i++)
		errors += tally->failures[i];
	printf(",\"errors\":%" PRIu64, errors);
	for (unsigned int i = 0; i < FAILURES; i++)
		printf(",\"%s\":%" PRIu64, failure_names[i], tally->failures[i]);
	printf(",\"connects\":%" PRIu64 ",\"misses\":%" PRIu64 ",\"get\":{", tally->connects, tally->misses);
	print_latencies(&tally->get);
	printf("},\"set\":{");
	print_latencies(&tally->set);
	printf("}}\n");
	fflush(stdout);
}
