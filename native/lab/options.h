/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator's options. */
#pragma once

#include <arpa/inet.h>
#include <getopt.h>

#include "lab.h"

#define CONNECTIONS_MAX 4096
#define DEPTH_MAX 256
/* Keys are written with eight digits. */
#define KEYS_MAX 100000000
#define VALUE_BYTES_MAX (16u * 1024)
#define RATE_MAX 10e6
#define DURATION_MS_MAX (24 * 3600 * 1000ull)
#define THINK_US_MAX (60 * 1000 * 1000ull)

static struct {
	struct sockaddr_in server, source;
	uint32_t connections, depth, keys, value_bytes;
	uint64_t requests_per_connection; /* 0: never reconnect */
	double set_ratio;
	double rate; /* requests per second; 0: closed loop */
	uint64_t think_ns, duration_ns, interval_ns;
	uint64_t timeout_ns; /* a request without a reply, or a connection without an answer, is an error after this long */
	int account; /* a line of output for each connection */
} options = {
	.server = { .sin_family = AF_INET },
	.source = { .sin_family = AF_INET },
	.connections = 16,
	.depth = 1,
	.keys = 10000,
	.value_bytes = 64,
	.set_ratio = 0.5,
	.duration_ns = 10 * NS_PER_S,
	.interval_ns = 100 * NS_PER_MS,
	.timeout_ns = NS_PER_S,
};

static const char usage[] =
	"usage: load [OPTION...] ADDRESS PORT\n"
	"  --connections N               16\n"
	"  --depth N                     requests under way on each connection, 1\n"
	"  --requests-per-connection N   then connect anew; 0 (never)\n"
	"  --set-ratio X                 fraction of requests that set, 0.5\n"
	"  --keys N                      10000\n"
	"  --value-bytes N               64\n"
	"  --think-us N                  mean of the exponential pause of a user, 0; closed loop only\n"
	"  --rate X                      open loop: requests per second\n"
	"  --bind ADDRESS                source address\n"
	"  --duration-ms N               10000\n"
	"  --interval-ms N               a line of output for each, 100\n"
	"  --timeout-ms N                without a reply it is an error, 1000\n"
	"  --account                     a line of output for each connection, with the name of its server\n";

static double parse_number(const char *text, const char *what, double min, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max)) {
		errno = 0;
		die("%s: '%s' is not a number from %g to %g", what, text, min, max);
	}
	return value;
}

static struct in_addr parse_address(const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1) {
		errno = 0;
		die("'%s' is not an IPv4 address", text);
	}
	return address;
}

static void parse_option(int option, const char *name, const char *text)
{
	switch (option) {
	case 'c': options.connections = (uint32_t)parse_integer(text, name, 1, CONNECTIONS_MAX); break;
	case 'd': options.depth = (uint32_t)parse_integer(text, name, 1, DEPTH_MAX); break;
	case 'r': options.requests_per_connection = parse_integer(text, name, 0, UINT64_MAX); break;
	case 's': options.set_ratio = parse_number(text, name, 0, 1); break;
	case 'k': options.keys = (uint32_t)parse_integer(text, name, 1, KEYS_MAX); break;
	case 'v': options.value_bytes = (uint32_t)parse_integer(text, name, 1, VALUE_BYTES_MAX); break;
	case 't': options.think_ns = parse_integer(text, name, 0, THINK_US_MAX) * NS_PER_US; break;
	case 'R': options.rate = parse_number(text, name, 1, RATE_MAX); break;
	case 'b': options.source.sin_addr = parse_address(text); break;
	case 'D': options.duration_ns = parse_integer(text, name, 1, DURATION_MS_MAX) * NS_PER_MS; break;
	case 'T': options.timeout_ns = parse_integer(text, name, 1, DURATION_MS_MAX) * NS_PER_MS; break;
	case 'a': options.account = 1; break;
	case 'i': options.interval_ns = parse_integer(text, name, 1, DURATION_MS_MAX) * NS_PER_MS; break;
	default: fputs(usage, stderr); exit(2);
	}
}

/* Fills `options`; bad ones end the program. */
static void parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "connections", required_argument, NULL, 'c' },
		{ "depth", required_argument, NULL, 'd' },
		{ "requests-per-connection", required_argument, NULL, 'r' },
		{ "set-ratio", required_argument, NULL, 's' },
		{ "keys", required_argument, NULL, 'k' },
		{ "value-bytes", required_argument, NULL, 'v' },
		{ "think-us", required_argument, NULL, 't' },
		{ "rate", required_argument, NULL, 'R' },
		{ "bind", required_argument, NULL, 'b' },
		{ "duration-ms", required_argument, NULL, 'D' },
		{ "interval-ms", required_argument, NULL, 'i' },
		{ "timeout-ms", required_argument, NULL, 'T' },
		{ "account", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "", known, &index)) != -1)
		parse_option(option, known[index].name, optarg);
	if (argc - optind != 2)
		parse_option('?', NULL, NULL);
	options.server.sin_addr = parse_address(argv[optind]);
	options.server.sin_port = htons((uint16_t)parse_integer(argv[optind + 1], "port", 1, 65535));
	if (options.rate > 0 && options.think_ns) {
		errno = 0;
		die("--think-us is for the closed loop, --rate for the open one");
	}
}
