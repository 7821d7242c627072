// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "object.h"
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A BPF ring buffer, mapped here and not by libbpf: that one calls back per record and cannot stop before a record
 * that no longer fits. Layout: one page with the consumer's position, one with the producer's, then the data twice, so
 * that a record that wraps can be read in one piece.
 */
struct ring {
	struct handle handle;
	unsigned long *consumer;
	const unsigned long *producer;
	const uint8_t *data;
	size_t size;
	size_t page;
};

static void ring_close(struct handle *handle)
{
	struct ring *ring = (struct ring *)handle;

	munmap(ring->consumer, ring->page);
	munmap((void *)ring->producer, ring->page + 2 * ring->size);
}

const struct handle_kind ring_kind = { ring_close };

/* ringOpen(object, map) */
static napi_value ring_open(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	napi_value values[2];
	struct ring *ring;
	void *consumer, *producer;
	int err;

	if (!arguments(env, info, 2, values))
		return NULL;
	map = map_of(env, values, "mmap");
	if (!map)
		return NULL;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return fail(env, "mmap", ENOMEM);
	ring->page = sysconf(_SC_PAGESIZE);
	ring->size = bpf_map__max_entries(map);
	consumer = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (consumer == MAP_FAILED) {
		err = errno;
		free(ring);
		return fail(env, "mmap", err);
	}
	producer = mmap(NULL, ring->page + 2 * ring->size, PROT_READ, MAP_SHARED, bpf_map__fd(map), ring->page);
	if (producer == MAP_FAILED) {
		err = errno;
		munmap(consumer, ring->page);
		free(ring);
		return fail(env, "mmap", err);
	}
	ring->consumer = consumer;
	ring->producer = producer;
	ring->data = (const uint8_t *)producer + ring->page;
	ring->handle.kind = &ring_kind;
	return new_handle(env, &ring->handle);
}

/*
 * Moves whole records to `out`, each as its size (u32), 4 zero bytes and its data, padded to 8 bytes. Returns the bytes
 * used, 0 when nothing is there, or -ENOSPC when not even the first record fits. Stops at a record that its writer has
 * not finished: those after it come the next time, in order.
 */
static long drain(struct ring *ring, struct bytes out)
{
	unsigned long position = *ring->consumer;
	unsigned long end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
	size_t used = 0;

	while (position < end) {
		const uint8_t *record = ring->data + (position & (ring->size - 1));
		uint32_t header = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
		uint32_t size = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		size_t stride = BPF_RINGBUF_HDR_SZ + (((size_t)size + 7) & ~(size_t)7);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
			const uint32_t head[2] = { size, 0 };

			if (stride > out.size - used) {
				if (!used)
					return -ENOSPC;
				break;
			}
			memcpy(out.data + used, head, sizeof(head));
			memcpy(out.data + used + sizeof(head), record + BPF_RINGBUF_HDR_SZ, stride - sizeof(head));
			used += stride;
		}
		position += stride;
	}
	__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
	return used;
}

/* ringDrain(ring, out): bytes used. */
static napi_value ring_drain(napi_env env, napi_callback_info info)
{
	const char *step = "ring buffer drain";
	napi_value values[2];
	struct ring *ring;
	long used;

	if (!arguments(env, info, 2, values))
		return NULL;
	ring = handle_of(env, values[0], &ring_kind, step);
	if (!ring)
		return NULL;
	used = drain(ring, bytes_of(env, values[1]));
	return used < 0 ? fail(env, step, used) : new_u32(env, used);
}

const struct binding ring_bindings[] = { { "ringOpen", ring_open }, { "ringDrain", ring_drain }, { NULL, NULL } };
