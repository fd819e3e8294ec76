#include "host/kernel/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int enter_new(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

/* setns() moves the root to that of the namespace. After a chroot that is another mount, without those of the instance. */
static int keeps_root(void)
{
	struct statx before = { 0 }, after = { 0 };
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &before) < 0 || setns(fd, CLONE_NEWNS) < 0 ||
	    statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &after) < 0)
		return -errno;
	close(fd);
	/* an old kernel says no mount id: 0 both times */
	return before.stx_mnt_id == after.stx_mnt_id ? 0 : -NS_CHROOT;
}

int ns_try(void)
{
	int r = enter_new();
	return r == 0 ? keeps_root() : r;
}

static int bind_over(const char *from, const char *to)
{
	return mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

/* A bind mount has flags of its own: read-only, and programs can be executed even if the file system below is mounted noexec. */
static int bind_fixed(const char *from, const char *to)
{
	int r = bind_over(from, to);
	return r == 0 && mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0 ? -errno : r;
}

static int make_run(void)
{
	return mkdir(NS_RUN, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* xrdp finds the sockets of a desktop at their usual paths, through links to directories that only the desktop's session leader fills. */
static int link_sockets(const struct ns_plan *p)
{
	static const char *const names[] = { "xrdp_display_", "xrdp_chansrv_socket_" };
	char from[512], to[128];
	for (int d = p->display_first; d < p->display_first + p->display_count; d++)
		for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
			snprintf(from, sizeof from, "%s/sockdir/%s%d", p->run, names[n], d);
			snprintf(to, sizeof to, "../desk/%d/sock/%s%d", d, names[n], d);
			if (symlink(to, from) < 0 && errno != EEXIST)
				return -errno;
		}
	return 0;
}

/* The tmpfs at the anchor. It is small, because only root writes to it; desktops write to mounts of their own below desk. */
static int make_run_tree(const struct ns_plan *p)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = { { "sockdir", 0755 }, { "desk", 0710 }, { "bin", 0755 }, { "log", 0755 }, { "user", 0755 } };
	char path[512];
	if (mount("lucid-rdp", p->run, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4m,nr_inodes=2048") < 0)
		return -errno;
	for (size_t n = 0; n < sizeof dirs / sizeof dirs[0]; n++) {
		snprintf(path, sizeof path, "%s/%s", p->run, dirs[n].name);
		if (mkdir(path, dirs[n].mode) < 0 || chown(path, 0, p->gid) < 0 || chmod(path, dirs[n].mode) < 0)
			return -errno;
	}
	snprintf(path, sizeof path, "%s/desk", p->run);
	int r = bind_over(path, path);
	if (r == 0 && mount(NULL, path, NULL, MS_SHARED, NULL) < 0)
		r = -errno;
	snprintf(path, sizeof path, "%s/bin", p->run);
	if (r == 0)
		r = bind_fixed(p->bin, path);
	snprintf(path, sizeof path, "%s/log", p->run);
	if (r == 0)
		r = bind_over(p->log, path);
	return r == 0 ? link_sockets(p) : r;
}

/* A namespace for System V objects: the host has room for 4096 shared memory segments, which any account can take, and each Xorg needs one.
 * A mount in the namespace of the instance keeps it. */
static int make_ipc(const struct ns_plan *p)
{
	char path[512];
	if (unshare(CLONE_NEWIPC) < 0)
		return errno == EINVAL || errno == EPERM ? 0 : -errno; /* a kernel without them */
	snprintf(path, sizeof path, "%s/ipc", p->run);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return bind_over("/proc/self/ns/ipc", path);
}

/* The bind mounts, in this order. */
static int place(const struct ns_plan *p, int which)
{
	switch (which) {
	case 0:
		return bind_fixed(p->etc, "/etc/xrdp");
	case 1: {
		int r = make_run();
		return r < 0 ? r : bind_over(p->run, NS_RUN);
	}
	default:
		return bind_fixed(p->pam, "/etc/pam.d/xrdp-sesman");
	}
}
#define PLACES 3

int ns_make(const struct ns_plan *p)
{
	int r = enter_new();
	if (r == 0)
		r = make_run_tree(p);
	if (r == 0)
		r = make_ipc(p);
	for (int n = 0; n < PLACES && r == 0; n++)
		r = place(p, n);
	return r;
}

int ns_enter(int ns_fd)
{
	return setns(ns_fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

int ns_enter_ipc(void)
{
	int fd = open(NS_RUN "/ipc", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int r = setns(fd, CLONE_NEWIPC) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Whether `to` is the same file as `from`, so the bind mount exists. */
static bool bound(const char *from, const char *to)
{
	struct stat a, b;
	return stat(from, &a) == 0 && stat(to, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int ns_heal(const struct ns_plan *p)
{
	static const char *const targets[PLACES] = { "/etc/xrdp", NS_RUN, "/etc/pam.d/xrdp-sesman" };
	const char *const from[PLACES] = { p->etc, p->run, p->pam };
	int mended = 0;
	for (int n = 0; n < PLACES; n++) {
		if (bound(from[n], targets[n]))
			continue;
		int r = place(p, n);
		if (r < 0)
			return r;
		mended = 1;
	}
	return mended;
}

int ns_refresh(const struct ns_plan *p)
{
	static const char *const targets[] = { "/etc/xrdp", NS_LOG };
	const char *const from[] = { p->etc, p->log };
	struct stat a, b;
	for (int n = 0; n < 2; n++) {
		if (stat(from[n], &a) < 0 || stat(targets[n], &b) < 0 || (a.st_dev == b.st_dev && a.st_ino == b.st_ino))
			continue;
		/* nothing can be mounted over a directory that was removed */
		if (umount2(targets[n], MNT_DETACH) < 0)
			return -errno;
		int r = n == 0 ? bind_fixed(from[n], targets[n]) : bind_over(from[n], targets[n]);
		if (r < 0)
			return r;
	}
	return 0;
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
