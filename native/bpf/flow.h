/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef INBAND_FLOW_H
#define INBAND_FLOW_H

#include "auto.h"
#include "hash.h"
#include "maps.h"
#include "packet.h"

/*
 * The flow table. A flow has INBAND_CHOICES sets in which its line may be, and in each of them an order in which lines
 * are searched. A set counts the flows that passed it by (`spilled`), so that a search ends at the first set that
 * nobody passed: nearly always the first.
 *
 * Several CPUs use it at once, without locks:
 *
 * - A line is taken by a compare-and-swap of its key to BUSY, filled, and published by an exchange of BUSY for its key.
 *   Who does not get it treats the packet as one of a flow without a line (`contended`). A program runs to its end,
 *   so that no line stays BUSY.
 * - Who found its key reads the backend and then the key again: if both are its own, so is the backend between them.
 * - A flow may be inserted twice if two CPUs see its first packets at once, and each finds another free line. Both took
 *   the backend from the same slot at the same time. A search always finds the line that is earlier in the flow's order,
 *   as a flow that begins anew stays in its line; the other one, seen once, times out.
 * - Two CPUs that update one flow, or one that updates a line which another takes at that moment, lose at most each
 *   other's update: times that are wrong by no more than they differ, or halves of two of them. A sample from those is
 *   one sample that is wrong, and dropped when it is negative or absurd. A line is only taken from a flow that was seen
 *   once or had been idle for long, so that this needs a packet in that very moment.
 */

#define STATE_MASK 3
#define RANK_SHIFT 62
#define RANK_IN_USE 3ULL
#define KEY_BUSY ((__u64)INBAND_KEY_BUSY << 48)

/* Why a flow begins anew in its line: it was idle for too long, this is the SYN of the next one, its backend is lost. */
#define AGAIN_AFTER_IDLE 1
#define AGAIN_BY_SYN 2
#define AGAIN_ELSEWHERE 3

/* What a new flow is made from. */
struct opening {
	__u64 key;
	__u64 now_ns;
	__u32 hash;
	__u32 isn;
	__u32 cpu;
	__u16 backend;
	/* With INBAND_STATE_AUTO, as the vip says. */
	__u8 state;
	/* AGAIN_*, 0 for a flow without a line. */
	__u8 again;
};

/*
 * Multilinear hashing, which is strongly universal (Dietzfelbinger, 1996): who lacks the secret cannot aim. The ports of
 * a client follow each other, which its hashes would do too: with some secrets all would be in a few sets, so they are
 * mixed once more.
 */
static __always_inline __u32 hash_of(__u64 key, int first)
{
	__u64 sum = (__u32)key * config.secret[first] + (key >> 32) * config.secret[first + 1] + config.secret[first + 2];

	return finish_hash(sum >> 32);
}

static __always_inline struct inband_flow_set *set_at(__u32 hash)
{
	return entry(&flows, (__u64)hash * config.set_count >> 32);
}

/* A set of a flow by choice; the first is chosen by `hash` alone. */
static __always_inline struct inband_flow_set *set_of(__u64 key, __u32 hash, __u32 choice)
{
	return set_at(choice ? hash + choice * hash_of(key, 3) : hash);
}

/* The line to be searched at step `i`: pairs of lines first, as CPUs fetch those together. */
static __always_inline struct inband_flow *line_of(struct inband_flow_set *set, __u32 hash, __u32 i)
{
	return &set->lines[(hash ^ i) & (INBAND_WAYS - 1)];
}

/* A line by its place: a choice of set, and a step of the search in it. */
static __always_inline struct inband_flow *line_at(__u64 key, __u32 hash, __u32 place)
{
	struct inband_flow_set *set = set_of(key, hash, place / INBAND_WAYS);

	if (!set)
		return NULL;
	/* The verifier wants the line computed after the check. */
	barrier_var(set);
	return line_of(set, hash, place % INBAND_WAYS);
}

/*
 * The place of a flow from a choice on; negative if it has none. This function and those below that are not static are
 * verified once by themselves: otherwise the verifier would walk through them on each of the many ways that lead here.
 */
__noinline int find_place(__u64 key, __u32 hash, __u32 choice)
{
	for (; choice < INBAND_CHOICES; choice++) {
		struct inband_flow_set *set = set_of(key, hash, choice);

		if (!set)
			break;
		for (__u32 i = 0; i < INBAND_WAYS; i++) {
			if (line_of(set, hash, i)->key == key)
				return choice * INBAND_WAYS + i;
		}
		if (!set->lines[0].spilled)
			break;
	}
	return -1;
}

/* The line of a flow, whose first set is `set`; NULL if it has none. */
static __always_inline struct inband_flow *find_flow(struct inband_flow_set *set, __u64 key, __u32 hash)
{
	struct inband_flow *line;
	int place;

	for (__u32 i = 0; i < INBAND_WAYS; i++) {
		line = line_of(set, hash, i);
		if (line->key == key)
			return line;
	}
	if (!set->lines[0].spilled)
		return NULL;
	place = find_place(key, hash, 1);
	return place < 0 ? NULL : line_at(key, hash, place);
}

/* Whether a flow has been idle for longer than its state allows. A clock that went backwards counts as no time. */
static __always_inline int is_past(const struct inband_flow *line, __u64 now_ns)
{
	return (__s64)(now_ns - line->last_ns) > (__s64)config.idle_ns[line->state & STATE_MASK];
}

/* How willingly a flow is lost, least first: past its time-out, not established, long idle; of equals the one idle longest. */
static __always_inline __u64 score_of(const struct inband_flow *line, __u64 now_ns)
{
	__u64 last_ns = line->last_ns;
	__u64 rank = RANK_IN_USE;

	if (is_past(line, now_ns))
		rank = 0;
	else if ((line->state & STATE_MASK) != INBAND_STATE_ESTABLISHED)
		rank = 1;
	else if ((__s64)(now_ns - last_ns) >= (__s64)config.evictable_ns)
		rank = 2;
	return rank << RANK_SHIFT | (last_ns & ((1ULL << RANK_SHIFT) - 1));
}

static __always_inline int take_line(struct inband_flow *line, __u64 key)
{
	return __sync_val_compare_and_swap(&line->key, key, KEY_BUSY) == key;
}

static __always_inline void count_ended(struct inband_counters *counted, __u8 again)
{
	if (again == AGAIN_AFTER_IDLE)
		counted->idle++;
	else if (again == AGAIN_BY_SYN)
		counted->reopened++;
	else
		counted->resteered++;
}

/* Takes the line of a flow that begins anew. */
static __always_inline struct inband_flow *keep_line(const struct opening *opening, struct inband_counters *counted)
{
	int place = find_place(opening->key, opening->hash, 0);
	struct inband_flow *line = place < 0 ? NULL : line_at(opening->key, opening->hash, place);

	if (line && take_line(line, opening->key)) {
		close_flow(line, opening->cpu);
		count_ended(counted, opening->again);
		return line;
	}
	counted->contended++;
	return NULL;
}

/* Counts one flow more, or less, in every set that a flow passed before it came to its own. */
__noinline int count_spilled(__u64 key, __u32 hash, __u32 choices, __s32 more)
{
	for (__u32 choice = 0; choice < INBAND_CHOICES && choice < choices; choice++) {
		struct inband_flow_set *set = set_of(key, hash, choice);

		if (set)
			__sync_fetch_and_add(&set->lines[0].spilled, more);
	}
	return 0;
}

/* Ends a flow and frees its line; false if another CPU was first. */
static __always_inline int end_flow(struct inband_flow *line, __u64 key, __u32 cpu)
{
	__u32 choice = line->choice;

	if (!take_line(line, key))
		return 0;
	close_flow(line, cpu);
	__sync_lock_test_and_set(&line->key, 0);
	if (choice)
		count_spilled(key, hash_of(key, 0), choice, -1);
	return 1;
}

/* Finds the line that is best lost among two sets of a flow, free ones first. Gives its place, or a negative number. */
__noinline int best_room(__u64 key, __u32 hash, __u64 now_ns, __u32 first_choice)
{
	__u64 best_score = RANK_IN_USE << RANK_SHIFT;
	int best = -1;

	for (__u32 choice = first_choice; choice < INBAND_CHOICES && choice < first_choice + 2; choice++) {
		struct inband_flow_set *set = set_of(key, hash, choice);

		if (!set)
			return -1;
		for (__u32 i = 0; i < INBAND_WAYS; i++) {
			struct inband_flow *line = line_of(set, hash, i);
			__u64 seen = line->key;
			__u64 score;

			if (!seen)
				return choice * INBAND_WAYS + i;
			if (seen == KEY_BUSY)
				continue;
			score = score_of(line, now_ns);
			if (score < best_score) {
				best_score = score;
				best = choice * INBAND_WAYS + i;
			}
		}
	}
	return best;
}

/* Takes a line for a new flow: a free one, or that of a flow which may be lost. NULL if there is none, which is counted. */
static __always_inline struct inband_flow *make_room(const struct opening *opening, struct inband_counters *counted)
{
	int place = best_room(opening->key, opening->hash, opening->now_ns, 0);
	struct inband_flow *line;
	__u32 old_choice;
	__u64 old, rank = 0;

	/* The later choices are for when all flows of the first two are established and in use. */
	if (place < 0)
		place = best_room(opening->key, opening->hash, opening->now_ns, 2);
	if (place < 0) {
		counted->refused++;
		return NULL;
	}
	line = line_at(opening->key, opening->hash, place);
	if (!line)
		return NULL;
	old = line->key;
	old_choice = line->choice;
	if (old)
		rank = score_of(line, opening->now_ns) >> RANK_SHIFT;
	if (old == KEY_BUSY || rank == RANK_IN_USE || !take_line(line, old)) {
		counted->contended++;
		return NULL;
	}
	if (old) {
		close_flow(line, opening->cpu);
		if (old_choice)
			count_spilled(old, hash_of(old, 0), old_choice, -1);
		if (rank == 0)
			counted->idle++;
		else if (rank == 1)
			counted->evicted_unestablished++;
		else
			counted->evicted_idle++;
	}
	line->choice = place / INBAND_WAYS;
	if (line->choice)
		count_spilled(opening->key, opening->hash, line->choice, 1);
	return line;
}

/* Makes the flow in a line that was taken for it, and publishes it. */
static __always_inline void fill_line(struct xdp_md *context, struct inband_flow *line, const struct opening *opening,
				      const struct packet *packet)
{
	__u64 now_ns = opening->now_ns;

	line->last_ns = now_ns;
	line->isn = opening->isn;
	line->state = opening->state;
	line->backend = opening->backend;
	if (opening->state & INBAND_STATE_AUTO) {
		struct inband_signals *signals = signals_of(opening->cpu, opening->backend);

		if (signals) {
			if (packet->proto == IPPROTO_TCP)
				signals->flows++;
			open_auto(context, line, packet, signals, tick_of(now_ns));
		}
	} else {
		for (int i = 0; i < INBAND_TIMEOUTS_MAX; i++) {
			line->batch_low[i] = now_ns;
			line->batch_high[i] = now_ns >> 32;
		}
	}
	__sync_lock_test_and_set(&line->key, opening->key);
}

/* Makes a flow; without a line for it the packet is routed all the same. */
__noinline int open_flow(struct xdp_md *context, const struct opening *opening, const struct packet *packet)
{
	struct inband_counters *counted;
	struct inband_traffic *counts;
	struct inband_flow *line;

	if (!opening || !packet)
		return -1;
	counted = entry(&counters, opening->cpu);
	counts = traffic_of(opening->cpu, opening->backend);
	if (!counted || !counts)
		return -1;
	line = opening->again ? keep_line(opening, counted) : make_room(opening, counted);
	if (!line) {
		counted->untracked++;
		return 0;
	}
	fill_line(context, line, opening, packet);
	counted->created++;
	counts->flows++;
	return 0;
}

/*
 * The backend of the flow with this key in this line; negative if the line was taken for another one meanwhile. The
 * additions of 0 make each address depend on what was read before, so that no CPU reads in another order; as neither
 * compiler nor verifier may see through only one of them, a copy that is known to be the same is what is compared.
 */
static __always_inline int backend_of(struct inband_flow *line, __u64 key)
{
	__u64 difference = *(volatile __u64 *)&line->key, zero;
	__u64 backend;

	asm volatile("%0 ^= %2; %1 = %0" : "+r"(difference), "=&r"(zero) : "r"(key));
	if (difference)
		return -1;
	backend = *(volatile __u16 *)((void *)&line->backend + zero);
	asm volatile("%0 = %1; %0 &= 0" : "=&r"(zero) : "r"(backend));
	return *(volatile __u64 *)((void *)&line->key + zero) == key ? (int)backend : -1;
}

#endif
