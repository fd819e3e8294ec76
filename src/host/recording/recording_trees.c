#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "host/recording/recording_dirs.h"
#include "lucid/str.h"

/* Whole directories of recordings: removing them, and counting their bytes. In jobs. */

/* A directory that is being removed has this name beside the others: the rename makes the removal one step, and a later job completes it. */
#define REMOVED ".removed-"
#define IDLE_IO 3 << 13 /* ioprio_set(2): IOPRIO_CLASS_IDLE */

/* --- removing */

static int tree_remove(const char *path, const char *id)
{
	_cleanup_(xfreep) char *root = xstrndup(path, (size_t)(strrchr(path, '/') - path)), *to = xasprintf("%s/" REMOVED "%s", root, id);
	int r = fs_remove_tree(to); /* what an earlier removal left */
	if (r < 0)
		return r;
	if (rename(path, to) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	_cleanup_(closep) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
	return fs_remove_tree(to);
}

/* The manifest last: as long as it is there, the recording is known to be incomplete, and not a directory without an owner. */
int recording_remove_run(void *arg, int out)
{
	const struct recording_dirs *d = arg;
	int r = str_eq(d->session, d->chunks) ? 0 : tree_remove(d->chunks, d->id);
	if (r == 0)
		r = tree_remove(d->session, d->id);
	if (r < 0)
		dprintf(out, "%s", strerror(-r));
	return r < 0 ? PREPARE_FAILED : 0;
}

static void be_idle(void)
{
	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, 1, 0, IDLE_IO);
}

static int root_sweep(const char *root, int out)
{
	int code = 0;
	DIR *d = opendir(root);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (!str_starts(e->d_name, REMOVED))
			continue;
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", root, e->d_name);
		int r = fs_remove_tree(path);
		if (r < 0) {
			dprintf(out, "%s: %s. ", path, strerror(-r));
			code = 1;
		}
	}
	if (d)
		closedir(d);
	return code;
}

int recording_sweep_run(void *arg, int out)
{
	const struct recording_roots *r = arg;
	be_idle();
	return root_sweep(r->session, out) | (str_eq(r->session, r->chunks) ? 0 : root_sweep(r->chunks, out));
}

/* --- counting */

static int64_t dir_bytes(int at, const char *name)
{
	int64_t sum = 0;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;
	while (d && (e = readdir(d)))
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			sum += st.st_size;
	if (d)
		closedir(d);
	else
		fd_close(&fd);
	return sum;
}

static int64_t root_bytes(const char *root)
{
	int64_t sum = 0;
	DIR *d = opendir(root);
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (id_is_uuid(e->d_name) || str_starts(e->d_name, REMOVED))
			sum += dir_bytes(dirfd(d), e->d_name);
	if (d)
		closedir(d);
	return sum;
}

/* Of the file system that the directory is on, or will be on when it is made. -1: it cannot be asked. */
static int64_t root_free(const char *root)
{
	struct statvfs s;
	_cleanup_(xfreep) char *path = xstrdup(root);
	while (statvfs(*path ? path : "/", &s) < 0) {
		char *slash = errno == ENOENT ? strrchr(path, '/') : NULL;
		if (!slash)
			return -1;
		*slash = 0;
	}
	return (int64_t)(s.f_bavail * s.f_frsize);
}

int recording_storage_run(void *arg, int out)
{
	const struct recording_roots *r = arg;
	int64_t left = root_free(r->chunks), of_session = root_free(r->session), used = -1;
	if (left < 0 || (of_session >= 0 && of_session < left))
		left = of_session;
	if (r->count) {
		be_idle();
		used = root_bytes(r->session) + (str_eq(r->session, r->chunks) ? 0 : root_bytes(r->chunks));
	}
	return dprintf(out, "%lld %lld\n", (long long)left, (long long)used) > 0 ? 0 : 1;
}
