/* SPDX-License-Identifier: Apache-2.0 */
/* What the lab's programs share: time, numbers on the command line, failing, mapped control files. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/* Prints one line with the error of errno, if there is one, and ends the program with exit code 1. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	exit(1);
}

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };
}

/* Sleeps until a point of CLOCK_MONOTONIC; returns early on a signal. */
static inline void sleep_until_ns(uint64_t when_ns)
{
	struct timespec when = timespec_of(when_ns);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* The kernel rounds sleeps up by 50 us unless told otherwise. */
static inline void sleep_precisely(void)
{
	if (prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul))
		die("prctl(PR_SET_TIMERSLACK)");
}

/* Makes room for that many open files; what the system refuses shows when they are opened. */
static inline void allow_files(rlim_t count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= count)
		return;
	limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Parses a decimal integer from min to max; anything else ends the program. */
static inline uint64_t parse_integer(const char *text, const char *what, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < min || value > max) {
		errno = 0;
		die("%s: '%s' is not an integer from %llu to %llu", what, text, (unsigned long long)min,
		    (unsigned long long)max);
	}
	return value;
}

/* Maps the first `size` bytes of a file that exists and is that long, shared with whoever writes it. */
static inline void *map_control(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *memory;

	if (fd < 0)
		die("open %s", path);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap %s", path);
	close(fd);
	return memory;
}
