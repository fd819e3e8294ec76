#include "sys/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/str.h"

static int open_for(const char *path, int flags, const struct run_user *u)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0640);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_nlink > 1) { /* under its other name it may belong to another program; chown would give it away */
		close(fd);
		return -EMLINK;
	}
	/* some file systems have no owners; that is no error, because the log is written through this descriptor */
	if (geteuid() == 0 && fchown(fd, u->uid, u->gid) < 0)
		return fd;
	return fd;
}

int log_file_open(const char *path, const struct run_user *u)
{
	return open_for(path, 0, u);
}

int log_file_rotate(const char *path, const struct run_user *u)
{
	_cleanup_(xfreep) char *one = xasprintf("%s.1", path), *two = xasprintf("%s.2", path), *next = xasprintf("%s.new", path);
	/* first the new file: if it cannot be created, nothing is renamed */
	unlink(next);
	int fd = open_for(next, O_EXCL, u);
	if (fd < 0)
		return fd;
	if ((rename(one, two) < 0 && errno != ENOENT) || (rename(path, one) < 0 && errno != ENOENT) || rename(next, path) < 0) {
		int err = errno;
		close(fd);
		unlink(next);
		return -err;
	}
	return fd;
}
