#include "host/desktop/desk_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNMOUNTS_MAX 16

/* The directories of a desktop, their owners, and the paths they are mounted over. */
static const struct part {
	const char *name, *over;
	mode_t mode;
	bool users;   /* owned by the user; else by root */
	bool in_tmp;  /* its mount point is in a world-writable directory */
} parts[] = {
	{ "sock", "/run/xrdp/sockdir", 02710, true, false }, /* xrdp connects to sockets there, but creates none */
	{ "user", "/run/xrdp/user", 0700, true, false },
	/* the next two are world-writable where they are mounted, so their parent directory is closed */
	{ "tmp", NULL, 0700, false, false },
	{ "tmp/x11", "/tmp/.X11-unix", 01777, false, true },
	{ "tmp/ice", "/tmp/.ICE-unix", 01777, false, true },
};
#define PARTS (sizeof parts / sizeof parts[0])

int desk_path(char dst[DESK_PATH_MAX], const char *run, int display, const char *name)
{
	int n = snprintf(dst, DESK_PATH_MAX, "%s/desk/%d%s%s", run, display, name ? "/" : "", name ? name : "");
	return n > 0 && n < DESK_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool is_mounted(const char *path)
{
	struct stat here, above;
	char up[DESK_PATH_MAX + 4];
	snprintf(up, sizeof up, "%s/..", path);
	return stat(path, &here) == 0 && stat(up, &above) == 0 && here.st_dev != above.st_dev;
}

int desk_unmake(const char *anchor, int display)
{
	char path[DESK_PATH_MAX];
	int r = desk_path(path, anchor, display, NULL);
	if (r < 0)
		return r;
	for (int n = 0; n < UNMOUNTS_MAX && is_mounted(path); n++)
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return -errno;
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int fresh_tmpfs(const struct desk *d)
{
	char path[DESK_PATH_MAX], options[160];
	int r = desk_unmake(d->anchor, d->display);
	if (r == 0)
		r = desk_path(path, d->anchor, d->display, NULL);
	if (r == 0 && mkdir(path, 0700) < 0)
		r = -errno;
	snprintf(options, sizeof options, "mode=0710,uid=0,gid=%u,size=%lld,nr_inodes=%ld", d->gid, d->bytes, d->inodes);
	if (r == 0 && mount("lucid-rdp-desktop", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		r = -errno;
	return r;
}

static int make_part(const struct desk *d, const struct part *p)
{
	char path[DESK_PATH_MAX];
	int r = desk_path(path, d->anchor, d->display, p->name);
	if (r < 0)
		return r;
	uid_t uid = p->users ? d->uid : 0;
	/* the set-group-ID bit gives the sockets the group of xrdp, so that xrdp can connect to them */
	gid_t gid = p->mode & S_ISGID ? d->gid : p->users ? d->user_gid : 0;
	if (mkdir(path, 0700) < 0 || chown(path, uid, gid) < 0 || chmod(path, p->mode) < 0)
		return -errno;
	return 0;
}

/* Opens a directory in /tmp as a mount point; -errno. It is made root's, because its owner could move it away with the mount. A link or a
 * file in its place is removed. */
static int open_mount_point(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP) && unlink(path) < 0)
		return -errno;
	if (fd < 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (fd < 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && (st.st_uid != 0 || (st.st_mode & 07777) != 01777) && (fchown(fd, 0, 0) < 0 || fchmod(fd, 01777) < 0))
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static bool is_bound(const char *from, const char *to)
{
	struct stat a, b;
	return stat(from, &a) == 0 && stat(to, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Mounts through the descriptor: if the owner replaces the directory between check and mount, the mount still goes to the checked one, and
 * does not appear at the path. */
static int bind_in_tmp(const char *from, const char *to)
{
	char by_fd[32];
	int fd = open_mount_point(to);
	if (fd < 0)
		return fd;
	snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", fd);
	int r = mount(from, by_fd, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
	close(fd);
	return r == 0 && !is_bound(from, to) ? -EBUSY : r;
}

int desk_bind(const char *anchor, int display, const char **ret_what)
{
	int mended = 0;
	for (size_t n = 0; n < PARTS; n++) {
		char path[DESK_PATH_MAX];
		if (!parts[n].over)
			continue;
		int r = desk_path(path, anchor, display, parts[n].name);
		if (r == 0 && is_bound(path, parts[n].over))
			continue;
		if (r == 0 && parts[n].in_tmp)
			r = bind_in_tmp(path, parts[n].over);
		else if (r == 0 && mount(path, parts[n].over, NULL, MS_BIND, NULL) < 0)
			r = -errno;
		if (r < 0) {
			*ret_what = parts[n].over;
			return r;
		}
		mended = 1;
	}
	return mended;
}

int desk_make(const struct desk *d, const char **ret_what)
{
	*ret_what = "mount namespace";
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	*ret_what = "tmpfs of the desktop";
	int r = fresh_tmpfs(d);
	for (size_t n = 0; n < PARTS && r == 0; n++) {
		*ret_what = parts[n].name;
		r = make_part(d, &parts[n]);
	}
	if (r == 0)
		r = desk_bind(d->anchor, d->display, ret_what);
	return r < 0 ? r : 0;
}
