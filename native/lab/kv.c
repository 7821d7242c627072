// SPDX-License-Identifier: Apache-2.0
/*
 * A key-value server that speaks enough of memcached's text protocol for the lab: get, gets, set, delete, stats,
 * version, quit. One thread. With a processing delay it answers commands one after the other, each after that
 * time, so that its capacity is 1/delay and its latency grows with load.
 *
 *   kv CONTROL_FILE ADDRESS PORT [NAME]
 *
 * The name is the last word of its version.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lab.h"
#include "store.h"

#define CONNECTIONS_MAX 4096
#define LINE_BYTES_MAX 2048u
#define KEY_BYTES_MAX 250u
#define KEYS_PER_GET_MAX 32u
#define VALUE_BYTES_MAX (16u * 1024)
#define INPUT_BYTES (LINE_BYTES_MAX + VALUE_BYTES_MAX + 2)
#define HEADER_BYTES_MAX (KEY_BYTES_MAX + 64)
/* A command is looked at only when its longest reply has room, so that replies never have to be cut. */
#define REPLY_BYTES_MAX (KEYS_PER_GET_MAX * (HEADER_BYTES_MAX + VALUE_BYTES_MAX + 2) + 8)
#define OUTPUT_BYTES (REPLY_BYTES_MAX + 64u * 1024)
#define EVENTS 256

/* Mapped by this program, written and read as a file by the lab. Native byte order. */
struct control {
	uint64_t delay_ns; /* written by the lab */
};

struct connection {
	int fd;
	uint32_t input_bytes, output_bytes;
	uint32_t closing; /* once all replies are sent */
	uint64_t skip_bytes; /* of a refused value, still to be thrown away */
	char input[INPUT_BYTES], output[OUTPUT_BYTES];
};

static struct control *control;
static uint64_t connection_count, cmd_get, cmd_set, get_hits;
static uint64_t free_at_ns; /* when the last command given to the server ends */
static int poller;
static char version[64] = "VERSION inband-kv\r\n";

static void flush(struct connection *c)
{
	uint32_t sent = 0;

	while (sent < c->output_bytes) {
		ssize_t n = send(c->fd, c->output + sent, c->output_bytes - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (uint32_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR) {
			c->closing = 1;
			c->output_bytes = 0;
			return;
		}
	}
	memmove(c->output, c->output + sent, c->output_bytes - sent);
	c->output_bytes -= sent;
}

static void append(struct connection *c, const char *bytes, uint32_t length)
{
	memcpy(c->output + c->output_bytes, bytes, length);
	c->output_bytes += length;
}

static void say(struct connection *c, const char *text)
{
	append(c, text, (uint32_t)strlen(text));
}

static void get(struct connection *c, char *keys, int with_cas)
{
	char header[HEADER_BYTES_MAX], *rest = NULL;
	uint32_t start = c->output_bytes, count = 0;

	for (char *key = strtok_r(keys, " ", &rest); key; key = strtok_r(NULL, " ", &rest), count++) {
		uint32_t length = (uint32_t)strlen(key);
		struct entry **set = set_of(key, length);
		int way = way_of(set, key, length);

		if (length > KEY_BYTES_MAX || count == KEYS_PER_GET_MAX) {
			c->output_bytes = start;
			say(c, "CLIENT_ERROR key too long or too many keys\r\n");
			return;
		}
		cmd_get++;
		if (way < 0)
			continue;
		get_hits++;
		snprintf(header, sizeof(header), "VALUE %.250s %u %u%s\r\n", key, set[way]->flags,
			 set[way]->value_bytes, with_cas ? " 1" : "");
		say(c, header);
		append(c, set[way]->bytes + length, set[way]->value_bytes);
		say(c, "\r\n");
	}
	say(c, count ? "END\r\n" : "ERROR\r\n");
}

/* Returns how many of the bytes after the line were the value, or -1 when they have not all arrived. */
static int set(struct connection *c, const char *arguments, const char *data, uint32_t available)
{
	char key[KEY_BYTES_MAX + 1], option[16] = "";
	unsigned int flags, bytes;
	const char *reply = "STORED\r\n";

	if (sscanf(arguments, "%250s %u %*d %u %15s", key, &flags, &bytes, option) < 3) {
		say(c, "ERROR\r\n");
		return 0;
	}
	if (bytes > VALUE_BYTES_MAX) {
		c->skip_bytes = (uint64_t)bytes + 2;
		say(c, "SERVER_ERROR object too large for cache\r\n");
		return 0;
	}
	if (available < bytes + 2)
		return -1;
	cmd_set++;
	if (memcmp(data + bytes, "\r\n", 2))
		reply = "CLIENT_ERROR bad data chunk\r\n";
	else if (remember(key, (uint32_t)strlen(key), flags, data, bytes))
		reply = "SERVER_ERROR out of memory storing object\r\n";
	if (strcmp(option, "noreply"))
		say(c, reply);
	return (int)bytes + 2;
}

static void delete(struct connection *c, const char *arguments)
{
	char key[KEY_BYTES_MAX + 1], option[16] = "";
	struct entry **set;
	int way;

	if (sscanf(arguments, "%250s %15s", key, option) < 1) {
		say(c, "ERROR\r\n");
		return;
	}
	set = set_of(key, (uint32_t)strlen(key));
	way = way_of(set, key, (uint32_t)strlen(key));
	if (way >= 0)
		forget(set, (unsigned int)way);
	if (strcmp(option, "noreply"))
		say(c, way >= 0 ? "DELETED\r\n" : "NOT_FOUND\r\n");
}

static void stats(struct connection *c)
{
	const struct {
		const char *name;
		uint64_t value;
	} lines[] = {
		{ "curr_connections", connection_count }, { "curr_items", item_count },
		{ "bytes", memory_bytes },		  { "cmd_get", cmd_get },
		{ "cmd_set", cmd_set },			  { "get_hits", get_hits },
		{ "get_misses", cmd_get - get_hits },
	};
	char line[64];

	for (unsigned int i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		snprintf(line, sizeof(line), "STAT %s %llu\r\n", lines[i].name, (unsigned long long)lines[i].value);
		say(c, line);
	}
	say(c, "END\r\n");
}

/*
 * Lets the time pass that a command costs, then replies. Oversleeping is not paid for twice: the capacity is
 * exactly 1/delay.
 */
static void reply_in_time(struct connection *c)
{
	uint64_t delay = __atomic_load_n(&control->delay_ns, __ATOMIC_RELAXED), now;

	if (!delay)
		return;
	now = monotonic_ns();
	free_at_ns = (free_at_ns > now ? free_at_ns : now) + delay;
	sleep_until_ns(free_at_ns);
	flush(c);
}

/* Returns how many bytes after the line belong to the command, or -1 when they have not all arrived. */
static int command(struct connection *c, char *line, const char *data, uint32_t available)
{
	size_t name_bytes = strcspn(line, " ");
	char *arguments = line + name_bytes + (line[name_bytes] == ' ');
	int used = 0;

	line[name_bytes] = 0;
	if (!strcmp(line, "get") || !strcmp(line, "gets"))
		get(c, arguments, name_bytes == 4);
	else if (!strcmp(line, "set"))
		used = set(c, arguments, data, available);
	else if (!strcmp(line, "delete"))
		delete(c, arguments);
	else if (!strcmp(line, "stats") && !*arguments)
		stats(c);
	else if (!strcmp(line, "version"))
		say(c, version);
	else if (!strcmp(line, "quit"))
		c->closing = 1;
	else
		say(c, "ERROR\r\n");
	return used;
}

/* Returns how many bytes of the input it is done with; 0 when it needs more. */
static uint32_t step(struct connection *c, const char *input, uint32_t length)
{
	char line[LINE_BYTES_MAX];
	const char *end;
	uint32_t line_bytes, output_bytes = c->output_bytes;
	int used;

	if (c->skip_bytes) {
		uint32_t skipped = c->skip_bytes < length ? (uint32_t)c->skip_bytes : length;

		c->skip_bytes -= skipped;
		return skipped;
	}
	end = memchr(input, '\n', length < LINE_BYTES_MAX ? length : LINE_BYTES_MAX);
	if (!end) {
		if (length >= LINE_BYTES_MAX) {
			say(c, "CLIENT_ERROR line too long\r\n");
			c->closing = 1;
		}
		return 0;
	}
	line_bytes = (uint32_t)(end - input) + 1;
	memcpy(line, input, line_bytes - 1);
	line[line_bytes - 1 - (line_bytes > 1 && end[-1] == '\r')] = 0;
	used = command(c, line, end + 1, length - line_bytes);
	if (used < 0)
		return 0;
	if (c->output_bytes > output_bytes)
		reply_in_time(c);
	return line_bytes + (uint32_t)used;
}

static void answer(struct connection *c)
{
	uint32_t done, used;

	do {
		done = 0;
		while (!c->closing && c->output_bytes <= OUTPUT_BYTES - REPLY_BYTES_MAX &&
		       (used = step(c, c->input + done, c->input_bytes - done)))
			done += used;
		c->input_bytes -= done;
		memmove(c->input, c->input + done, c->input_bytes);
		flush(c);
	} while (done && !c->output_bytes);
}

static void watch(struct connection *c, int operation)
{
	/* While replies wait for the client, it is not listened to: it cannot make the server queue more. */
	struct epoll_event event = { .events = c->output_bytes ? EPOLLOUT : EPOLLIN, .data.ptr = c };

	if (epoll_ctl(poller, operation, c->fd, &event))
		die("epoll_ctl");
}

static void serve(struct connection *c)
{
	int was_waiting = c->output_bytes > 0;
	ssize_t n = 0;

	if (was_waiting)
		flush(c);
	else
		n = recv(c->fd, c->input + c->input_bytes, INPUT_BYTES - c->input_bytes, 0);
	if (n > 0)
		c->input_bytes += (uint32_t)n;
	else if (!was_waiting && (n == 0 || (errno != EAGAIN && errno != EINTR)))
		c->closing = 1;
	answer(c);
	if (c->closing && !c->output_bytes) {
		close(c->fd);
		free(c);
		connection_count--;
	} else if (was_waiting != (c->output_bytes > 0)) {
		watch(c, EPOLL_CTL_MOD);
	}
}

static void welcome(int listener)
{
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *c;

	if (fd < 0)
		return;
	if (connection_count == CONNECTIONS_MAX || !(c = malloc(sizeof(*c)))) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->input_bytes = c->output_bytes = 0;
	c->skip_bytes = 0;
	c->closing = 0;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	watch(c, EPOLL_CTL_ADD);
	connection_count++;
}

static int listen_on(const char *address, uint16_t port)
{
	struct sockaddr_in where = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
		die("address '%s'", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&where, sizeof(where)) || listen(fd, CONNECTIONS_MAX))
		die("listen on %s port %u", address, port);
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS] = { { .events = EPOLLIN, .data.ptr = NULL } };
	int listener;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: kv CONTROL_FILE ADDRESS PORT [NAME]\n");
		return 2;
	}
	if (argc == 5)
		snprintf(version, sizeof(version), "VERSION inband-kv %.31s\r\n", argv[4]);
	control = map_control(argv[1], sizeof(*control));
	allow_files(CONNECTIONS_MAX + 16);
	sleep_precisely();
	listener = listen_on(argv[2], (uint16_t)parse_integer(argv[3], "port", 1, 65535));
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &events[0]))
		die("epoll");
	for (;;) {
		int count = epoll_wait(poller, events, EVENTS, -1);

		for (int i = 0; i < count; i++)
			if (events[i].data.ptr)
				serve(events[i].data.ptr);
			else
				welcome(listener);
	}
}
