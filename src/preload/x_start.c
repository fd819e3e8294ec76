#include "preload/x_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 30000 /* as long as xrdp waits (xup: 60 tries, 500 ms apart) */
#define LOOK_MS 20
#define FORK_MS 3000 /* the leader forks the waiting process before the X server, which may therefore be missing at first */

static struct {
	pid_t leader;
	int64_t began_ms; /* time of the first call; 0: none yet */
} self;

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads the start of a file of /proc; returns its length, or -1. */
static ssize_t read_proc(const char *path, char *dst, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, dst, size - 1) : -1;
	if (fd >= 0)
		close(fd);
	dst[n > 0 ? n : 0] = '\0';
	return n;
}

static bool is_running(long pid)
{
	char path[32], stat[512];
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	const char *end = read_proc(path, stat, sizeof stat) > 0 ? strrchr(stat, ')') : NULL; /* the name before ')' may contain any character */
	return end && end[1] == ' ' && !strchr("ZX", end[2]);
}

/* Whether the X server runs. The leader has only one other child, the process that becomes the login script; it waits here too. If
 * the kernel does not list children, this is false, and sesman waits no longer than its own 10 s. */
static bool x_server_runs(void)
{
	char path[64], children[512];
	int running = 0, waiting = getpid() == self.leader ? 1 : 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)self.leader, (int)self.leader);
	if (read_proc(path, children, sizeof children) <= 0)
		return false;
	char *p = children, *end;
	for (long pid = strtol(p, &end, 10); end != p; pid = strtol(p, &end, 10)) {
		running += pid != getpid() && is_running(pid);
		p = end;
	}
	return running > waiting;
}

void x_start_leader(void)
{
	self.leader = getpid();
}

int x_start_access(const char *path, int mode, access_function real)
{
	int64_t now = now_ms();
	if (!self.began_ms)
		self.began_ms = now;
	while (real(path, mode) != 0) {
		const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };
		if (errno != ENOENT || now - self.began_ms >= WAIT_MS || (now - self.began_ms >= FORK_MS && !x_server_runs()))
			return -1;
		nanosleep(&pause, NULL);
		now = now_ms();
	}
	return 0;
}
