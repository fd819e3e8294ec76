#include "sys/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ROOM_MIN 4096 /* for files of /proc and /sys, whose size is 0 */

int file_open(const char *path, int flags, struct stat *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	if (fd < 0 || fstat(fd, ret) < 0)
		return -1;
	if (!S_ISREG(ret->st_mode)) {
		errno = S_ISDIR(ret->st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	int opened = fd;
	fd = -1;
	return opened;
}

struct room {
	char *s;
	size_t len, size;
};

static void room_wipe(struct room *r)
{
	if (r->s)
		mem_wipe(r->s, r->len);
	free(r->s);
}

/* Not xrealloc: it would leave a copy of the content in the memory that it frees. */
static void room_grow(struct room *r, size_t size)
{
	struct room larger = { xmalloc(size), r->len, size };
	if (r->s)
		memcpy(larger.s, r->s, r->len);
	room_wipe(r);
	*r = larger;
}

char *file_read_fd(int fd, size_t max, size_t *ret_len)
{
	_cleanup_(room_wipe) struct room r = { 0 };
	struct stat st;
	size_t hint = fstat(fd, &st) == 0 && st.st_size > 0 ? MIN((size_t)st.st_size, max) + 2 : ROOM_MIN;
	ssize_t n = 1;
	room_grow(&r, MIN(hint, max + 2)); /* one byte more than is allowed, to detect it, and the NUL */
	while (r.len <= max && n) {
		if (r.len + 1 == r.size)
			room_grow(&r, MIN(2 * r.size, max + 2));
		n = read(fd, r.s + r.len, r.size - 1 - r.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return NULL;
		r.len += (size_t)n;
	}
	if (r.len > max) {
		errno = EFBIG;
		return NULL;
	}
	r.s[r.len] = 0;
	if (ret_len)
		*ret_len = r.len;
	return TAKE_PTR(r.s);
}

char *file_read(const char *path, size_t max, size_t *ret_len)
{
	struct stat st;
	_cleanup_(closep) int fd = file_open(path, 0, &st);
	return fd < 0 ? NULL : file_read_fd(fd, max, ret_len);
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

int file_replace(const char *path, const char *text, size_t len, mode_t mode, gid_t gid)
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

/* --- directories */

int dir_make_parents(const char *path)
{
	_cleanup_(xfreep) char *copy = xstrdup(path);
	for (char *p = *copy ? strchr(copy + 1, '/') : NULL; p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

int dir_make(const char *path, mode_t mode)
{
	int r = dir_make_parents(path);
	return r < 0 ? r : mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

/* --- the program */

char *program_path(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n <= 0)
		return xstrdup("/usr/local/bin/lucid-rdp");
	path[n] = 0;
	char *deleted = strstr(path, " (deleted)");
	if (deleted)
		*deleted = 0;
	return xstrdup(path);
}

char *program_file(const char *name)
{
	static const char *const places[] = {
		"",
		"/../lib/lucid-rdp",
#ifdef LUCID_TEST
		"/../..", /* a unit test is two folders deeper */
#endif
	};
	_cleanup_(xfreep) char *program = program_path();
	const char *slash = strrchr(program, '/');
	for (size_t i = 0; slash && i < ARRAY_LEN(places); i++) {
		char *path = xasprintf("%.*s%s/%s", (int)(slash - program), program, places[i], name);
		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}
