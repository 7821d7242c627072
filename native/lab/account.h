/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator's account: what became of each connection, as a JSON line when it has ended. */
#pragma once

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SERVER_NAME_BYTES 32

struct life {
	uint64_t started_ns; /* when the first SYN was sent */
	uint16_t port;	     /* the client's */
	char server[SERVER_NAME_BYTES]; /* empty until it has told */
};

static uint16_t local_port(int fd)
{
	struct sockaddr_in own = { 0 };
	socklen_t size = sizeof(own);

	getsockname(fd, (struct sockaddr *)&own, &size);
	return ntohs(own.sin_port);
}

/* The server's name is the last word of its version; a name that JSON would have to escape is none. */
static void name_server(struct life *life, const char *reply, int bytes)
{
	int end = bytes - 2, start = end;

	while (start && reply[start - 1] != ' ')
		start--;
	if (end - start >= SERVER_NAME_BYTES || memchr(reply + start, '"', (size_t)(end - start)) ||
	    memchr(reply + start, '\\', (size_t)(end - start)))
		return;
	memcpy(life->server, reply + start, (size_t)(end - start));
	life->server[end - start] = 0;
}

/* `lost` requests got no reply. It is written out with the next interval. */
static void print_life(const struct life *life, uint64_t answered, uint32_t lost, const char *end, uint64_t now)
{
	printf("{\"end\":\"%s\",\"server\":\"%s\",\"port\":%u,\"started_ns\":%" PRIu64 ",\"ended_ns\":%" PRIu64
	       ",\"answered\":%" PRIu64 ",\"lost\":%u}\n",
	       end, life->server, life->port, life->started_ns, now, answered, lost);
}
