/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of the load generator in memcached's text protocol, and whether a reply fits its request. */
#pragma once

#include "options.h"

#define REQUEST_BYTES_MAX (64u + VALUE_BYTES_MAX)
#define REPLY_BYTES_MAX (64u + VALUE_BYTES_MAX)
/* No first line of a reply is longer, error messages included. */
#define LINE_BYTES_MAX 512

/* WHO asks the server for its name, and is no request of a user. */
enum request_kind { GET, SET, WHO };

struct request {
	uint64_t start_ns; /* latency counts from here */
	uint64_t sent_ns;
	uint32_t key;
	enum request_kind kind;
};

/* Writes a request to `out`, which has room for REQUEST_BYTES_MAX; returns its end. */
static char *write_request(char *out, const struct request *request)
{
	static char value[VALUE_BYTES_MAX];

	if (request->kind == WHO)
		return out + sprintf(out, "version\r\n");
	if (request->kind == GET)
		return out + sprintf(out, "get key-%08u\r\n", request->key);
	if (!value[0])
		memset(value, 'x', sizeof(value));
	out += sprintf(out, "set key-%08u 0 0 %u\r\n", request->key, options.value_bytes);
	return mempcpy(mempcpy(out, value, options.value_bytes), "\r\n", 2);
}

/*
 * Returns the length of the reply to a request at the start of the input, 0 when it has not arrived as a whole,
 * or -1 when it is no reply to that request.
 */
static int reply_bytes(const char *in, uint32_t length, const struct request *request)
{
	const char *end = memchr(in, '\n', length);
	char *rest;
	uint64_t bytes;

	if (!end)
		return length < LINE_BYTES_MAX ? 0 : -1;
	if (request->kind == WHO)
		return end - in > 9 && !memcmp(in, "VERSION ", 8) && end[-1] == '\r' ? (int)(end + 1 - in) : -1;
	if (request->kind == SET)
		return end - in == 7 && !memcmp(in, "STORED\r", 7) ? 8 : -1;
	if (end - in == 4 && !memcmp(in, "END\r", 4))
		return 5;
	if (end - in < 16 || memcmp(in, "VALUE key-", 10) || strtoul(in + 10, &rest, 10) != request->key ||
	    memcmp(rest, " 0 ", 3) || (bytes = strtoul(rest + 3, &rest, 10)) > VALUE_BYTES_MAX || *rest != '\r')
		return -1;
	bytes += (uint64_t)(end + 1 - in) + 7;
	if (length < bytes)
		return 0;
	return memcmp(in + bytes - 7, "\r\nEND\r\n", 7) ? -1 : (int)bytes;
}
