#include "host/kernel/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/files.h"

int fs_mkdirs(const char *path, mode_t mode)
{
	int r = dir_make(path, mode);
	return r < 0 ? r : chmod(path, mode) < 0 ? -errno : 0;
}

int fs_write(const char *path, const char *text, mode_t mode, gid_t gid)
{
	return file_replace(path, text, strlen(text), mode, gid);
}

int fs_copy(const char *from, const char *to, mode_t mode, gid_t gid)
{
	size_t len = 0;
	_cleanup_(xfreep) char *text = file_read(from, 4 * 1024 * 1024, &len);
	return text ? file_replace(to, text, len, mode, gid) : -errno;
}

/* --- trees */

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_dots(const char *name)
{
	return str_eq(name, ".") || str_eq(name, "..");
}

/* Empties the directory `name` of `top`: removes files and moves directories up to `top`, so that a tree of any depth is removed without
 * recursion. True if something changed. */
static bool flatten(int top, dev_t device, const char *name, unsigned *number)
{
	struct stat st;
	int fd = open_dir(top, name);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != device) {
		fd_close(&fd);
		return false;
	}
	DIR *d = fdopendir(fd);
	struct dirent *e;
	bool changed = false;
	while (d && (e = readdir(d))) {
		char to[32];
		if (is_dots(e->d_name))
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0) {
			changed = true;
			continue;
		}
		int r;
		do
			snprintf(to, sizeof to, ".removed-%u", (*number)++);
		while ((r = renameat2(fd, e->d_name, top, to, RENAME_NOREPLACE)) < 0 && errno == EEXIST);
		changed |= r == 0;
	}
	if (d)
		closedir(d);
	return changed;
}

/* One pass over all entries. False if nothing changed. */
static bool remove_entries(DIR *d, dev_t device, unsigned *number)
{
	int top = dirfd(d);
	struct dirent *e;
	bool changed = false;
	rewinddir(d);
	while ((e = readdir(d))) {
		if (is_dots(e->d_name))
			continue;
		if (unlinkat(top, e->d_name, 0) == 0) {
			changed = true;
			continue;
		}
		changed |= flatten(top, device, e->d_name, number);
		changed |= unlinkat(top, e->d_name, AT_REMOVEDIR) == 0;
	}
	return changed;
}

static int empty_dir(const char *path)
{
	struct stat st;
	unsigned number = 0;
	int fd = open_dir(AT_FDCWD, path);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = errno;
		fd_close(&fd);
		return -err;
	}
	DIR *d = fdopendir(fd);
	while (d && remove_entries(d, st.st_dev, &number))
		;
	if (d)
		closedir(d);
	return 0;
}

int fs_remove_tree(const char *path)
{
	if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	int r = empty_dir(path);
	return rmdir(path) == 0 || errno == ENOENT ? 0 : r < 0 ? r : -errno;
}

int fs_discard(const char *path, const char *trash)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (fs_mkdirs(trash, 0700) < 0)
		return fs_remove_tree(path);
	for (unsigned n = 0; n < 1000; n++) {
		_cleanup_(xfreep) char *to = xasprintf("%s/%d-%u-%llu", trash, getpid(), n, (unsigned long long)st.st_ino);
		if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return fs_remove_tree(path);
}

int fs_empty(const char *trash)
{
	int r = empty_dir(trash);
	if (r == -ENOENT || rmdir(trash) == 0 || errno == ENOENT)
		return 0;
	return r < 0 ? r : -errno;
}
