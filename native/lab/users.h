/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator's users: random choices, and those who sleep between requests. */
#pragma once

#include <stdint.h>

static uint64_t random_state; /* never 0 */

static uint64_t next_random(void) /* xorshift64* */
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 2685821657736338717ull;
}

/* Uniform in (0, 1). */
static double next_fraction(void)
{
	return ((double)(next_random() >> 11) + 0.5) / 9007199254740992.0;
}

struct sleeper {
	uint64_t until_ns;
	void *user;
};

static struct sleeper *sleepers; /* a heap, the first one due at the top; the program makes it large enough */
static uint32_t sleeper_count;

/* `user` wakes up at `until`. */
static void put_to_sleep(void *user, uint64_t until)
{
	uint32_t i = sleeper_count++;

	for (; i && sleepers[(i - 1) / 2].until_ns > until; i = (i - 1) / 2)
		sleepers[i] = sleepers[(i - 1) / 2];
	sleepers[i] = (struct sleeper){ until, user };
}

/* Takes the first of those asleep; there must be one. */
static void *wake_first(void)
{
	void *woken = sleepers[0].user;
	struct sleeper last = sleepers[--sleeper_count];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < sleeper_count) {
		if (child + 1 < sleeper_count && sleepers[child + 1].until_ns < sleepers[child].until_ns)
			child++;
		if (last.until_ns <= sleepers[child].until_ns)
			break;
		sleepers[i] = sleepers[child];
		i = child;
	}
	sleepers[i] = last;
	return woken;
}
