#include "sys/child/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "lucid/clock.h"

#define PF_EXITING 0x4 /* kernel's include/linux/sched.h; set before an exiting process closes its descriptors */

bool proc_parse_stat(const char *text, struct proc_stat *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	struct proc_stat s = { 0 };
	unsigned long long utime, stime, start;
	long long rss_pages;
	unsigned flags;
	int ppid;
	if (!open || !close || close < open)
		return false;
	s.pid = atoi(text);
	size_t n = MIN((size_t)(close - open - 1), sizeof s.comm - 1);
	memcpy(s.comm, open + 1, n);
	/* fields 3 (state), 4 (ppid), 9 (flags), 14 and 15 (times), 22 (start), 24 (rss) of proc(5) */
	if (sscanf(close + 1,
		   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %*u %lld", &s.state,
		   &ppid, &flags, &utime, &stime, &start, &rss_pages) != 7)
		return false;
	s.ppid = ppid;
	s.is_exiting = flags & PF_EXITING;
	s.cpu_ticks = utime + stime;
	s.start_ticks = start;
	s.rss_bytes = (int64_t)rss_pages * sysconf(_SC_PAGESIZE);
	*ret = s;
	return true;
}

/* In one read: the kernel generates the text of such a file at the first one. */
static bool read_text(const char *path, char *dst, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? read(fd, dst, size - 1) : -1;
	dst[MAX(n, 0)] = '\0';
	return n > 0;
}

static bool stat_with_zombies(pid_t pid, struct proc_stat *ret)
{
	char path[40], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	return pid > 0 && read_text(path, text, sizeof text) && proc_parse_stat(text, ret);
}

static bool is_dead(const struct proc_stat *s)
{
	return s->state == 'Z' || s->state == 'X';
}

bool proc_stat(pid_t pid, struct proc_stat *ret)
{
	struct proc_stat s;
	if (!stat_with_zombies(pid, &s) || is_dead(&s))
		return false;
	*ret = s;
	return true;
}

bool proc_is_zombie(pid_t pid)
{
	struct proc_stat s;
	return stat_with_zombies(pid, &s) && s.state == 'Z';
}

uint64_t proc_start(pid_t pid)
{
	struct proc_stat s;
	return proc_stat(pid, &s) ? s.start_ticks : 0;
}

bool proc_alive(pid_t pid, uint64_t start_ticks)
{
	struct proc_stat s;
	return proc_stat(pid, &s) && (!start_ticks || s.start_ticks == start_ticks);
}

int64_t proc_start_boot_ms(uint64_t start_ticks)
{
	return (int64_t)(start_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

int64_t proc_start_wall_ms(uint64_t start_ticks)
{
	return clock_wall_ms() - clock_boot_ms() + proc_start_boot_ms(start_ticks);
}

void boot_id_read(char ret[BOOT_ID_SIZE])
{
	if (!read_text("/proc/sys/kernel/random/boot_id", ret, BOOT_ID_SIZE))
		ret[0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

int process_signal_if(pid_t pid, int signo, bool (*still)(pid_t pid, const void *arg), const void *arg)
{
	_cleanup_(closep) int fd = pid > 0 ? pidfd_open(pid, 0) : -1;
	if (fd < 0)
		return pid > 0 ? -errno : -ESRCH;
	if (!still(pid, arg))
		return -ESRCH;
	return pidfd_send_signal(fd, signo, NULL, 0) < 0 ? -errno : 0;
}

static bool has_start(pid_t pid, const void *start_ticks)
{
	return proc_alive(pid, *(const uint64_t *)start_ticks);
}

int process_signal(pid_t pid, uint64_t start_ticks, int signo)
{
	return process_signal_if(pid, signo, has_start, &start_ticks);
}
