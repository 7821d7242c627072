// SPDX-License-Identifier: Apache-2.0
/*
 * Removes a lab: kills every process in its namespaces, then the namespaces, then its directory.
 *
 * It first waits for the end of its standard input. The lab holds the other end of that pipe, and so does every
 * command that sets the lab up, so the end comes when they are all gone, however they died.
 *
 *   reap PREFIX DIRECTORY     namespaces are those whose name starts with PREFIX
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lab.h"

#define NETNS_DIRECTORY "/run/netns"
/* A lab has at most 82 namespaces; more with one prefix is not a lab. */
#define NAMESPACES_MAX 128
#define PROCESSES_MAX 4096
/* A killed process that has not ended by then hangs in the kernel; its namespace goes when it does. */
#define KILL_WAIT_MS 2000
/* A process may start another one before it is killed, but not for ever. */
#define KILL_ROUNDS_MAX 8
/* Directories open at a time while the lab's is removed. */
#define DEPTH_MAX 16

struct netns {
	char path[PATH_MAX];
	dev_t device;
	ino_t inode;
};

static struct netns namespaces[NAMESPACES_MAX];
static unsigned int namespace_count;

static void find_namespaces(const char *prefix)
{
	DIR *directory = opendir(NETNS_DIRECTORY);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory)) && namespace_count < NAMESPACES_MAX) {
		struct netns *netns = &namespaces[namespace_count];
		struct stat status;
		int fd;

		if (strncmp(entry->d_name, prefix, strlen(prefix)))
			continue;
		snprintf(netns->path, sizeof(netns->path), NETNS_DIRECTORY "/%s", entry->d_name);
		/* Left open, so that no new namespace gets the same inode number before the work is done. */
		fd = open(netns->path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &status))
			continue;
		netns->device = status.st_dev;
		netns->inode = status.st_ino;
		namespace_count++;
	}
	closedir(directory);
}

static int is_in_lab(const char *pid)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%.16s/ns/net", pid);
	if (stat(path, &status))
		return 0;
	for (unsigned int i = 0; i < namespace_count; i++)
		if (namespaces[i].inode == status.st_ino && namespaces[i].device == status.st_dev)
			return 1;
	return 0;
}

/*
 * Kills the processes in the lab and waits for their end; returns how many there were. A process is looked at
 * after its file descriptor is open, so a number that is used again cannot get the wrong process killed.
 */
static unsigned int kill_round(void)
{
	static struct pollfd ending[PROCESSES_MAX];
	unsigned int count = 0;
	uint64_t give_up = monotonic_ns() + KILL_WAIT_MS * NS_PER_MS;
	DIR *directory = opendir("/proc");
	struct dirent *entry;

	if (!directory)
		die("opendir /proc");
	while ((entry = readdir(directory)) && count < PROCESSES_MAX) {
		int pid = atoi(entry->d_name), fd;

		if (pid <= 0 || pid == getpid())
			continue;
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (fd < 0)
			continue;
		if (is_in_lab(entry->d_name) && !syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0))
			ending[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		else
			close(fd);
	}
	closedir(directory);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t now = monotonic_ns();

		poll(&ending[i], 1, now < give_up ? (int)((give_up - now) / NS_PER_MS) : 0);
		close(ending[i].fd);
	}
	return count;
}

static void kill_processes(void)
{
	for (unsigned int round = 0; round < KILL_ROUNDS_MAX && kill_round(); round++)
		;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	remove(path);
	return 0;
}

/* With all that is below, and without following links or leaving its file system. */
static void remove_directory(const char *path)
{
	nftw(path, remove_entry, DEPTH_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int main(int argc, char **argv)
{
	char ignored[64];

	/* A short prefix could match namespaces that are no lab's. */
	if (argc != 3 || strlen(argv[1]) < 4) {
		fprintf(stderr, "usage: reap PREFIX DIRECTORY < PIPE\n");
		return 2;
	}
	while (read(STDIN_FILENO, ignored, sizeof(ignored)) > 0)
		;
	find_namespaces(argv[1]);
	kill_processes();
	for (unsigned int i = 0; i < namespace_count; i++) {
		umount2(namespaces[i].path, MNT_DETACH);
		unlink(namespaces[i].path);
	}
	/* One may have been on its way in; now there is no way in any more. */
	kill_processes();
	remove_directory(argv[2]);
	return 0;
}
