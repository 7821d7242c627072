/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value server's memory: a table of fixed shape, so that it is bounded without bookkeeping. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES_MAX (256u << 20)
/* Entries are kept in sets of a few; a key that finds its set full replaces the one set longest ago. */
#define SETS (1u << 16)
#define WAYS 4u

struct entry {
	uint32_t key_bytes, value_bytes, flags;
	char bytes[]; /* key, then value */
};

static struct entry *table[SETS][WAYS]; /* newest first */
static uint64_t memory_bytes, item_count;

static struct entry **set_of(const char *key, uint32_t length)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (uint32_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)key[i]) * 16777619u;
	return table[(hash ^ hash >> 16) % SETS];
}

static int way_of(struct entry **set, const char *key, uint32_t length)
{
	for (unsigned int way = 0; way < WAYS; way++)
		if (set[way] && set[way]->key_bytes == length && !memcmp(set[way]->bytes, key, length))
			return (int)way;
	return -1;
}

static void forget(struct entry **set, unsigned int way)
{
	memory_bytes -= sizeof(struct entry) + set[way]->key_bytes + set[way]->value_bytes;
	item_count--;
	free(set[way]);
	memmove(&set[way], &set[way + 1], (WAYS - 1 - way) * sizeof(*set));
	set[WAYS - 1] = NULL;
}

/* Returns 0, or -1 when memory is used up. */
static int remember(const char *key, uint32_t key_bytes, uint32_t flags, const char *value, uint32_t value_bytes)
{
	size_t size = sizeof(struct entry) + key_bytes + value_bytes;
	struct entry **set = set_of(key, key_bytes), *entry;
	int way = way_of(set, key, key_bytes);

	if (way >= 0)
		forget(set, (unsigned int)way);
	if (set[WAYS - 1])
		forget(set, WAYS - 1);
	if (memory_bytes + size > MEMORY_BYTES_MAX || !(entry = malloc(size)))
		return -1;
	*entry = (struct entry){ .key_bytes = key_bytes, .value_bytes = value_bytes, .flags = flags };
	memcpy(entry->bytes, key, key_bytes);
	memcpy(entry->bytes + key_bytes, value, value_bytes);
	memmove(&set[1], &set[0], (WAYS - 1) * sizeof(*set));
	set[0] = entry;
	memory_bytes += size;
	item_count++;
	return 0;
}
