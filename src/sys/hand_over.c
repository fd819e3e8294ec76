#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/privileges.h"

#define ENTRIES_MAX 200000 /* more than this program ever creates in one directory tree */

struct walk {
	const struct run_user *owner;
	const char *top;
	dev_t device;
	size_t entries;
	char *why;
	size_t size;
};

static bool owner_refuse(struct walk *w, const char *path, const struct stat *st, const char *what)
{
	snprintf(w->why, w->size,
		 "%s is %s owned by user %u, but this program runs as user %u; stop the program and run: chown -R %u:%u %s", path, what, (unsigned)st->st_uid,
		 (unsigned)w->owner->uid, (unsigned)w->owner->uid, (unsigned)w->owner->gid, w->top);
	return false;
}

/* Whether the account that the program will run as can use it. The kernel is asked only for this process's own account; for another
 * one, the mode bits decide. */
static bool usable(const char *path, const struct stat *st, const struct run_user *u)
{
	if (geteuid() == u->uid)
		return faccessat(AT_FDCWD, path, R_OK | W_OK | (S_ISDIR(st->st_mode) ? X_OK : 0), AT_EACCESS) == 0;
	unsigned need = S_ISDIR(st->st_mode) ? 7 : 6, shift = st->st_uid == u->uid ? 6 : st->st_gid == u->gid ? 3 : 0;
	return (st->st_mode >> shift & need) == need;
}

static bool look_at(struct walk *w, int at, const char *name, const char *path, unsigned depth);

static bool look_below(struct walk *w, int fd, const char *path, unsigned depth)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;
	bool ok = true;
	while (d && ok && (e = readdir(d)) && w->entries++ < ENTRIES_MAX) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		_cleanup_(xfreep) char *below = xasprintf("%s/%s", path, e->d_name);
		ok = look_at(w, fd, e->d_name, below, depth);
	}
	if (d)
		closedir(d);
	return ok;
}

/* Checks and changes the same descriptor: the owner of the directory may replace its entries at any time. */
static bool look_at(struct walk *w, int at, const char *name, const char *path, unsigned depth)
{
	struct stat st;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) || st.st_dev != w->device)
		return true;
	_cleanup_(closep) int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool dir = S_ISDIR(st.st_mode);
	if (fd >= 0 && fstat(fd, &st) < 0)
		return true;
	bool safe = fd >= 0 && st.st_dev == w->device && (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink == 1));
	if (st.st_uid != w->owner->uid && geteuid() == 0 && safe && fchown(fd, w->owner->uid, w->owner->gid) == 0)
		st.st_uid = w->owner->uid;
	if (st.st_uid != w->owner->uid && !usable(path, &st, w->owner))
		return owner_refuse(w, path, &st, dir ? "a directory" : st.st_nlink > 1 ? "a file with several hard links" : "a file");
	return !dir || fd < 0 || !depth || look_below(w, fd, path, depth - 1);
}

bool privileges_hand_over(const char *dir, const struct run_user *owner, unsigned depth, char *why, size_t size)
{
	struct stat st;
	struct walk w = { .owner = owner, .top = dir, .why = why, .size = size };
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return true;
	if ((fd < 0 ? lstat(dir, &st) : fstat(fd, &st)) < 0) {
		snprintf(why, size, "cannot stat %s: %s", dir, strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		snprintf(why, size, "%s is %s, but must be a directory; move the directory there, or set the option to its real path", dir,
			 S_ISLNK(st.st_mode) ? "a symbolic link" : "a file");
		return false;
	}
	w.device = st.st_dev;
	if (fd < 0 || (st.st_uid != owner->uid && !usable(dir, &st, owner)))
		return owner_refuse(&w, dir, &st, "a directory");
	return look_below(&w, fd, dir, depth);
}
