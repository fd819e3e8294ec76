#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/defaults.h"
#include "lucid/id.h"

#define SECRET_BYTES 32
#define SECRET_TEXT (2 * SECRET_BYTES)

/* What is there must be ours alone: who can write it can sign, who can read it too. */
static char *read_secret(const char *path, char *why, size_t size)
{
	char text[SECRET_TEXT + 2];
	struct stat st;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why, size, "%s", errno == ENOENT ? "" : strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		snprintf(why, size, "it must be a file of this user's with mode 0600");
		return NULL;
	}
	ssize_t n = read(fd, text, sizeof text);
	char *ret = NULL;
	if (n >= SECRET_TEXT && n <= SECRET_TEXT + 1)
		ret = xstrndup(text, SECRET_TEXT);
	else
		snprintf(why, size, "it is not what was written there; remove it to have a new one made");
	mem_wipe(text, sizeof text);
	return ret;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);
	if (n >= 0 && (size_t)n != len)
		errno = ENOSPC;
	return n == (ssize_t)len && fsync(fd) == 0 ? 0 : -errno;
}

/* Written whole under another name and then linked, so that two starts at once agree, and a crash leaves nothing half. */
static int write_secret(const char *path)
{
	char text[SECRET_TEXT + 2];
	_cleanup_(xfreep) char *tmp = xasprintf("%s.%d", path, (int)getpid());
	unlink(tmp);
	_cleanup_(closep) int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	id_hex(text, SECRET_BYTES);
	text[SECRET_TEXT] = '\n';
	int rc = write_all(fd, text, SECRET_TEXT + 1);
	mem_wipe(text, sizeof text);
	if (rc == 0 && link(tmp, path) < 0 && errno != EEXIST)
		rc = -errno;
	unlink(tmp);
	return rc;
}

static int make_dirs(const char *path, mode_t mode)
{
	_cleanup_(xfreep) char *copy = xstrdup(path);
	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(copy, mode) < 0 && errno != EEXIST ? -errno : 0;
}

char *secret_keep(const char *path, bool make, char *why, size_t size)
{
	char *text = read_secret(path, why, size);
	if (text || *why || !make)
		return text;
	_cleanup_(xfreep) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int rc = make_dirs(dir, 0700);
	if (rc == 0)
		rc = write_secret(path);
	if (rc < 0) {
		snprintf(why, size, "cannot write it: %s", strerror(-rc));
		return NULL;
	}
	return read_secret(path, why, size);
}
