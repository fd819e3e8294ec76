#include "host/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/str.h"

int fs_mkdirs(const char *path, mode_t mode)
{
	_cleanup_(xfreep) char *p = xstrdup(path);
	for (char *s = p + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	if (mkdir(p, mode) < 0 && errno != EEXIST)
		return -errno;
	return chmod(p, mode) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *s, size_t len)
{
	while (len) {
		ssize_t n = write(fd, s, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

static int put(const char *path, const char *text, size_t len, mode_t mode, gid_t gid)
{
	_cleanup_(xfreep) char *tmp = xasprintf("%s.new-%d", path, getpid());
	_cleanup_(closep) int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST && unlink(tmp) == 0)
		fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, text, len);
	if (r == 0 && geteuid() == 0 && fchown(fd, 0, gid) < 0)
		r = -errno;
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	return r;
}

int fs_write(const char *path, const char *text, mode_t mode, gid_t gid)
{
	return put(path, text, strlen(text), mode, gid);
}

static char *slurp(const char *path, size_t max, size_t *ret_len)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return NULL;
	}
	struct strbuf b = { .max = max };
	char buf[8192];
	ssize_t n;
	while ((n = read(fd, buf, sizeof buf)) > 0 && !b.overflow)
		strbuf_add(&b, buf, MIN((size_t)n, max - b.len));
	*ret_len = b.len;
	return strbuf_take(&b);
}

char *fs_read(const char *path, size_t max)
{
	size_t len;
	return slurp(path, max, &len);
}

int fs_copy(const char *from, const char *to, mode_t mode, gid_t gid)
{
	size_t len = 0;
	_cleanup_(xfreep) char *text = slurp(from, 4 * 1024 * 1024, &len);
	return text ? put(to, text, len, mode, gid) : -errno;
}

#define DEPTH 64

static void remove_at(int dir, const char *name, unsigned depth)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 && depth ? fdopendir(fd) : NULL;
	if (!d) {
		fd_close(&fd);
		unlinkat(dir, name, AT_REMOVEDIR);
		return;
	}
	struct dirent *e;
	while ((e = readdir(d)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			remove_at(fd, e->d_name, depth - 1);
	closedir(d);
	unlinkat(dir, name, AT_REMOVEDIR);
}

void fs_remove_tree(const char *path)
{
	remove_at(AT_FDCWD, path, DEPTH);
}
