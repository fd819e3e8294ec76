#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "app/settings/defaults.h"
#include "lucid/id.h"
#include "sys/files.h"

#define SECRET_BYTES 32
#define SECRET_TEXT (2 * SECRET_BYTES)

/* Only this user may have access to the file: every process that can read or write it can sign tokens. */
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
		snprintf(why, size, "it must be a regular file owned by this user, with mode 0600");
		return NULL;
	}
	ssize_t n = read(fd, text, sizeof text);
	char *ret = NULL;
	if (n >= SECRET_TEXT && n <= SECRET_TEXT + 1)
		ret = xstrndup(text, SECRET_TEXT);
	else
		snprintf(why, size, "its content is damaged; remove it to have a new one generated");
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

/* Writes a temporary file and links it to `path`: so two starts at the same time use the same secret, and a crash leaves no partial
 * file. */
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

char *secret_keep(const char *path, bool make, char *why, size_t size)
{
	char *text = read_secret(path, why, size);
	if (text || *why || !make)
		return text;
	_cleanup_(xfreep) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int rc = dir_make(dir, 0700);
	if (rc == 0)
		rc = write_secret(path);
	if (rc < 0) {
		snprintf(why, size, "cannot write it: %s", strerror(-rc));
		return NULL;
	}
	return read_secret(path, why, size);
}
