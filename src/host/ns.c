#include "host/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int ns_try(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

static int bind_over(const char *from, const char *to)
{
	return mount(from, to, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int make_run(void)
{
	return mkdir("/run/xrdp", 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int ns_make(const struct ns_plan *p)
{
	int r = ns_try();
	if (r == 0)
		r = bind_over(p->etc, "/etc/xrdp");
	if (r == 0)
		r = make_run();
	if (r == 0)
		r = bind_over(p->run, "/run/xrdp");
	if (r == 0)
		r = bind_over(p->pam, "/etc/pam.d/xrdp-sesman");
	return r;
}

int ns_enter(int ns_fd)
{
	return setns(ns_fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

/* Is `to` the same file as `from`, that is, is the bind there? */
static bool bound(const char *from, const char *to)
{
	struct stat a, b;
	return stat(from, &a) == 0 && stat(to, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int ns_heal(const struct ns_plan *p)
{
	static const char *const targets[] = { "/etc/xrdp", "/run/xrdp", "/etc/pam.d/xrdp-sesman" };
	const char *const from[] = { p->etc, p->run, p->pam };
	int mended = 0;
	for (int n = 0; n < 3; n++) {
		if (bound(from[n], targets[n]))
			continue;
		int r = n == 1 ? make_run() : 0;
		if (r == 0)
			r = bind_over(from[n], targets[n]);
		if (r < 0)
			return r;
		mended = 1;
	}
	return mended;
}

int ns_open(pid_t pid)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

ino_t ns_inode_of(pid_t pid)
{
	char path[40];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

ino_t ns_inode(int ns_fd)
{
	struct stat st;
	return fstat(ns_fd, &st) == 0 ? st.st_ino : 0;
}
