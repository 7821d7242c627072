// SPDX-License-Identifier: Apache-2.0
/*
 * Load generator for memcached's text protocol. One thread, many connections; prints one JSON line for each
 * interval and one for the whole run.
 *
 * Closed loop: each connection has `depth` users; a user sends a request, waits for its reply, thinks, and sends
 * the next one. Latency counts from the moment of sending.
 * With --account, each connection's first request asks the server for its name, and its end is a line of output too.
 * Open loop (--rate): requests are due at constant intervals, whatever the replies do. Latency counts from the
 * moment a request was due, so that a request that had to wait for a free connection counts its waiting.
 */
#define _GNU_SOURCE
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "account.h"
#include "protocol.h"
#include "report.h"
#include "users.h"

#define INPUT_BYTES (4 * REPLY_BYTES_MAX)

/* A connection that failed is tried again after this long. */
#define RETRY_NS (10 * NS_PER_MS)
/* How often time-outs and retries are looked at. */
#define PATROL_NS (10 * NS_PER_MS)
#define EVENTS 256

enum state { CLOSED, CONNECTING, OPEN };

struct connection {
	int fd;
	enum state state;
	uint64_t since_ns;	    /* of CLOSED and CONNECTING */
	uint64_t sent, answered;    /* requests on this connection */
	struct life life;	    /* for the account */
	uint32_t ready;		    /* users that want to send; closed loop only */
	uint32_t pending, oldest;   /* requests without a reply, a ring of `depth` */
	uint32_t out_bytes, in_bytes, listens_for;
	struct request *requests;
	char *out, *in;
};

static struct connection *connections;
static struct tally interval, total;
static int poller;
static int draining;
static volatile sig_atomic_t stopped;

/* The user whose request ended thinks, or is ready at once. */
static void release_user(struct connection *c, uint64_t now)
{
	if (options.rate > 0)
		return;
	if (options.think_ns)
		put_to_sleep(c, now + (uint64_t)(-log(next_fraction()) * (double)options.think_ns));
	else
		c->ready++;
}

static void listen_for(struct connection *c, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	if (c->listens_for == events)
		return;
	c->listens_for = events;
	if (epoll_ctl(poller, operation, c->fd, &event))
		die("epoll_ctl");
}

static void disconnect(struct connection *c, uint64_t now)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = CLOSED;
	c->since_ns = now;
	c->sent = c->answered = c->out_bytes = c->in_bytes = c->listens_for = 0;
	for (; c->pending; c->pending--, c->oldest = (c->oldest + 1) % options.depth)
		if (c->requests[c->oldest].kind != WHO)
			release_user(c, now);
}

static void account_for(const struct connection *c, const char *end, uint64_t now)
{
	if (options.account)
		print_life(&c->life, c->answered, c->pending, end, now);
}

static void fail(struct connection *c, enum failure why, uint64_t now)
{
	/* Each request without a reply is an error of its own. */
	interval.failures[why] += c->pending ? c->pending : 1;
	account_for(c, failure_ends[why], now);
	disconnect(c, now);
}

static void start_connection(struct connection *c, uint64_t now)
{
	int one = 1;

	c->life = (struct life){ .started_ns = now };
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		fail(c, CONNECT_FAILED, now);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if ((options.source.sin_addr.s_addr &&
	     bind(c->fd, (struct sockaddr *)&options.source, sizeof(options.source))) ||
	    (connect(c->fd, (struct sockaddr *)&options.server, sizeof(options.server)) && errno != EINPROGRESS)) {
		fail(c, CONNECT_FAILED, now);
		return;
	}
	if (options.account)
		c->life.port = local_port(c->fd);
	c->state = CONNECTING;
	c->since_ns = now;
	listen_for(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static int may_send(const struct connection *c)
{
	return c->state == OPEN && !draining && c->pending < options.depth &&
	       (!options.requests_per_connection || c->sent < options.requests_per_connection);
}

/* Writes a request behind those that wait to be sent; `out` has room for `depth` of them. */
static void add(struct connection *c, const struct request *request)
{
	c->requests[(c->oldest + c->pending++) % options.depth] = *request;
	c->out_bytes = (uint32_t)(write_request(c->out + c->out_bytes, request) - c->out);
}

static void add_request(struct connection *c, uint64_t start, uint64_t now)
{
	add(c, &(struct request){
		.start_ns = start,
		.sent_ns = now,
		.key = (uint32_t)(next_random() >> 32) % options.keys,
		.kind = next_fraction() < options.set_ratio ? SET : GET,
	});
	c->sent++;
}

static void flush(struct connection *c, uint64_t now)
{
	ssize_t sent;

	if (!c->out_bytes)
		return;
	sent = send(c->fd, c->out, c->out_bytes, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		fail(c, RESET, now);
		return;
	}
	if (sent > 0) {
		c->out_bytes -= (uint32_t)sent;
		memmove(c->out, c->out + sent, c->out_bytes);
	}
	listen_for(c, c->out_bytes ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
}

/* Sends what the users of a connection want to send. */
static void send_ready(struct connection *c, uint64_t now)
{
	for (; c->ready && may_send(c); c->ready--)
		add_request(c, now, now);
	flush(c, now);
}

/* Takes the reply of so many bytes to the oldest request. */
static void record(struct connection *c, const char *reply, int bytes, uint64_t now)
{
	const struct request *request = &c->requests[c->oldest];

	c->oldest = (c->oldest + 1) % options.depth;
	c->pending--;
	if (request->kind == WHO) {
		name_server(&c->life, reply, bytes);
		return;
	}
	c->answered++;
	histogram_add(request->kind == SET ? &interval.set : &interval.get, now - request->start_ns);
	if (request->kind == GET && bytes == 5)
		interval.misses++;
	release_user(c, now);
}

static void read_replies(struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_bytes, INPUT_BYTES - c->in_bytes, 0);
	uint64_t now = monotonic_ns();
	uint32_t done = 0;
	int bytes = 0;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		fail(c, RESET, now);
		return;
	}
	c->in_bytes += (uint32_t)n;
	while (c->pending &&
	       (bytes = reply_bytes(c->in + done, c->in_bytes - done, &c->requests[c->oldest])) > 0) {
		record(c, c->in + done, bytes, now);
		done += (uint32_t)bytes;
	}
	c->in_bytes -= done;
	memmove(c->in, c->in + done, c->in_bytes);
	if (bytes < 0 || (!c->pending && c->in_bytes)) {
		fail(c, WRONG_REPLY, now);
	} else if (!c->pending && options.requests_per_connection && c->sent == options.requests_per_connection) {
		account_for(c, "completed", now);
		disconnect(c, now);
		start_connection(c, now);
	} else {
		send_ready(c, now);
	}
}

static void finish_connecting(struct connection *c)
{
	uint64_t now = monotonic_ns();
	socklen_t size = sizeof(int);
	int error = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error) {
		fail(c, CONNECT_FAILED, now);
		return;
	}
	c->state = OPEN;
	interval.connects++;
	listen_for(c, EPOLLIN, EPOLL_CTL_MOD);
	if (options.account)
		add(c, &(struct request){ .start_ns = now, .sent_ns = now, .kind = WHO });
	send_ready(c, now);
}

static void on_event(struct connection *c, uint32_t events)
{
	if (c->state == CONNECTING)
		finish_connecting(c);
	else if (events & ~(uint32_t)EPOLLOUT)
		read_replies(c);
	else
		flush(c, monotonic_ns());
}

/* Fails what waited too long, and tries again what failed. */
static void patrol(uint64_t now)
{
	for (uint32_t i = 0; i < options.connections; i++) {
		struct connection *c = &connections[i];

		if (c->state == OPEN && c->pending && now - c->requests[c->oldest].sent_ns > options.timeout_ns)
			fail(c, TIMED_OUT, now);
		else if (c->state == CONNECTING && now - c->since_ns > options.timeout_ns)
			fail(c, CONNECT_FAILED, now);
		else if (c->state == CLOSED && now - c->since_ns >= RETRY_NS && !draining)
			start_connection(c, now);
	}
}

static uint64_t due_ns(uint64_t start, uint64_t request)
{
	return start + (uint64_t)((double)request * (double)NS_PER_S / options.rate);
}

/* Sends the requests that are due, while there are free connections; returns when it wants to be called again. */
static uint64_t send_due(uint64_t start, uint64_t *sent, uint64_t now)
{
	static uint32_t turn;

	for (uint32_t busy = 0; busy < options.connections; turn = (turn + 1) % options.connections) {
		struct connection *c = &connections[turn];
		uint64_t due = due_ns(start, *sent);

		if (due > now)
			return due;
		if (!may_send(c)) {
			busy++;
			continue;
		}
		busy = 0;
		(*sent)++;
		add_request(c, due, now);
		flush(c, now);
	}
	return UINT64_MAX;
}

static void print_interval(uint64_t start, uint64_t now)
{
	char head[96];

	snprintf(head, sizeof(head), "\"t_ms\":%.3f,\"mono_ns\":%" PRIu64, (double)(now - start) / NS_PER_MS, now);
	print_tally(head, &interval);
	tally_merge(&total, &interval);
	memset(&interval, 0, sizeof(interval));
}

/* An account waits for connections that are being made, too. */
static int has_pending(void)
{
	for (uint32_t i = 0; i < options.connections; i++)
		if (connections[i].pending || (options.account && connections[i].state == CONNECTING))
			return 1;
	return 0;
}

static void wait_for_events(uint64_t until)
{
	struct epoll_event events[EVENTS];
	uint64_t now = monotonic_ns();
	struct timespec wait = timespec_of(until > now ? until - now : 0);
	int count = epoll_pwait2(poller, events, EVENTS, &wait, NULL);

	for (int i = 0; i < count; i++)
		on_event(events[i].data.ptr, events[i].events);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Requests that were due in a run of that length. The first one is due at once. */
static uint64_t due_count(uint64_t elapsed_ns)
{
	return (uint64_t)((double)elapsed_ns * options.rate / (double)NS_PER_S) + 1;
}

/* Sends until the end of the duration or SIGTERM, then waits for the replies that are still to come. */
static void run(void)
{
	uint64_t start = monotonic_ns(), now = start, end = start + options.duration_ns, sent = 0;
	uint64_t patrol_at = start, interval_at = start + options.interval_ns, wake;
	char head[128];

	while (!draining || has_pending()) {
		wake = UINT64_MAX;
		while (sleeper_count && sleepers[0].until_ns <= now) {
			struct connection *c = wake_first();

			c->ready++;
			send_ready(c, now);
		}
		if (sleeper_count)
			wake = sleepers[0].until_ns;
		if (options.rate > 0 && !draining)
			wake = earlier(wake, send_due(start, &sent, now));
		if (now >= patrol_at) {
			patrol(now);
			patrol_at = now + PATROL_NS;
		}
		for (; now >= interval_at; interval_at += options.interval_ns)
			print_interval(start, now);
		wait_for_events(earlier(earlier(wake, patrol_at), interval_at));
		now = monotonic_ns();
		if (!draining && (stopped || now >= end)) {
			draining = 1;
			end = now;
		}
	}
	for (uint32_t i = 0; i < options.connections; i++)
		if (connections[i].state == OPEN)
			account_for(&connections[i], "kept", now);
	print_interval(start, now);
	snprintf(head, sizeof(head), "\"summary\":true,\"t_ms\":%.3f,\"mono_ns\":%" PRIu64 ",\"unsent\":%" PRIu64,
		 (double)(end - start) / NS_PER_MS, end,
		 options.rate > 0 ? due_count(end - start) - sent : 0);
	print_tally(head, &total);
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		die("memory");
	return memory;
}

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

int main(int argc, char **argv)
{
	struct sigaction on_stop = { .sa_handler = stop };
	uint64_t now;

	parse_options(argc, argv);
	allow_files(options.connections + 16);
	sleep_precisely();
	sigaction(SIGTERM, &on_stop, NULL);
	sigaction(SIGINT, &on_stop, NULL);
	now = monotonic_ns();
	random_state = now | 1;
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		die("epoll");
	sleepers = allocate((size_t)options.connections * options.depth, sizeof(*sleepers));
	connections = allocate(options.connections, sizeof(*connections));
	for (uint32_t i = 0; i < options.connections; i++) {
		struct connection *c = &connections[i];

		c->requests = allocate(options.depth, sizeof(*c->requests));
		c->out = allocate(options.depth, REQUEST_BYTES_MAX);
		c->in = allocate(1, INPUT_BYTES);
		for (uint32_t user = 0; user < options.depth; user++)
			release_user(c, now);
		start_connection(c, now);
	}
	run();
	return 0;
}
