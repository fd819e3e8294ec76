#include "host/recording/recording_dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "lucid/clock.h"
#include "lucid/record.h"
#include "lucid/str.h"
#include "record/recover.h"
#include "sys/child/job.h"
#include "sys/files.h"

#define LOCK_MS 6000	  /* how long a recorder of the last supervisor may take to close its chunk */
#define LOCK_KILLED_MS 2000 /* and to end when it was killed */
#define LOCK_STEP_MS 20

void recording_dirs_of(struct recording_dirs *ret, const struct host *h, const char *id)
{
	*ret = (struct recording_dirs){ .account = recorder_account(), .is_root = h->is_root };
	str_copy(ret->id, sizeof ret->id, id);
	ret->session = xasprintf("%s/%s", h->set.session_storage, id);
	ret->chunks = xasprintf("%s/%s", h->set.chunk_storage, id);
}

void recording_dirs_done(struct recording_dirs *d)
{
	free(TAKE_PTR(d->session));
	free(TAKE_PTR(d->chunks));
}

bool recording_is_document(const char *name)
{
	return str_eq(name, RECORD_MANIFEST) || str_eq(name, RECORD_SEAL);
}

static int dir_open(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int recording_dirs_open(const struct recording_dirs *d, const char *name)
{
	struct stat st;
	_cleanup_(closep) int dir = dir_open(recording_is_document(name) ? d->session : d->chunks);
	_cleanup_(closep) int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* the account of recorders could give another file of its file system a second name here */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
		errno = ENOENT;
		return -1;
	}
	return TAKE_FD(fd);
}

/* --- in jobs */

static int job_says(int out, int code, const char *what, int err)
{
	dprintf(out, "%s: %s", what, strerror(err));
	return err == ENOSPC || err == EDQUOT ? PREPARE_FULL : code;
}

static int dir_sync(const char *path)
{
	_cleanup_(closep) int fd = dir_open(path);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int parent_sync(const char *path)
{
	_cleanup_(xfreep) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	return dir_sync(dir);
}

/* A directory of the recording; the one above it is made too. -EEXIST: another host, or another recording, has it. */
static int dir_make_own(const struct recording_dirs *d, const char *path)
{
	_cleanup_(xfreep) char *root = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int r = dir_make(root, 0700);
	if (r < 0)
		return r;
	if (mkdir(path, 0700) < 0)
		return -errno;
	_cleanup_(closep) int fd = dir_open(path);
	if (fd < 0 || (d->is_root && fchown(fd, d->account.uid, d->account.gid) < 0))
		return -errno;
	return parent_sync(path);
}

static int text_write(int fd, const char *text)
{
	for (size_t len = strlen(text); len;) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int document_write(const struct recording_dirs *d, const char *name, const char *text)
{
	_cleanup_(xfreep) char *tmp = xasprintf(".%s.new", name);
	_cleanup_(closep) int dir = dir_open(d->session);
	if (dir < 0)
		return -errno;
	if (unlinkat(dir, tmp, 0) < 0 && errno != ENOENT)
		return -errno;
	_cleanup_(closep) int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : text_write(fd, text);
	if (r == 0 && d->is_root && fchown(fd, d->account.uid, d->account.gid) < 0)
		r = -errno;
	if (r == 0 && renameat(dir, tmp, dir, name) < 0)
		r = -errno;
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlinkat(dir, tmp, 0);
	return r;
}

int recording_document_run(void *arg, int out)
{
	const struct recording_document *w = arg;
	int r = document_write(&w->dirs, w->name, w->text);
	return r == 0 ? 0 : r == -ENOENT ? PREPARE_EXISTS : job_says(out, PREPARE_FAILED, w->name, -r);
}

/* --- preparing */

static bool lock_within(int fd, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_mono_ms() >= until)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_MS * 1000000L }, NULL);
	}
	return true;
}

static bool dir_lock(const struct recording_prepare *p, int fd)
{
	if (lock_within(fd, LOCK_MS))
		return true;
	return p->old_pid && process_signal(p->old_pid, p->old_start, SIGKILL) == 0 && lock_within(fd, LOCK_KILLED_MS);
}

static bool account_enter(const struct recording_dirs *d)
{
	const struct recorder_account *a = &d->account;
	return !d->is_root || (setgroups(0, NULL) == 0 && setresgid(a->gid, a->gid, a->gid) == 0 && setresuid(a->uid, a->uid, a->uid) == 0);
}

struct sum {
	uint32_t chunks;
	int64_t bytes;
};

static void index_sum(int dir, struct sum *ret)
{
	uint8_t raw[256][RECORD_ENTRY_BYTES];
	struct record_index_entry e;
	ssize_t n;
	*ret = (struct sum){ 0 };
	_cleanup_(closep) int fd = openat(dir, RECORD_INDEX, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, raw, sizeof raw)) >= RECORD_ENTRY_BYTES)
		for (ssize_t k = 0; k < n / RECORD_ENTRY_BYTES; k++) {
			ret->chunks++;
			ret->bytes += record_entry_get(&e, raw[k]) ? e.bytes : 0;
		}
}

static int say_found(int out, int dir, const struct record_recovered *r)
{
	struct sum sum;
	char head[RECORD_HASH_BYTES * 2 + 1] = "-";
	index_sum(dir, &sum);
	if (r->next_seq)
		str_hex(head, r->prev_hash, sizeof r->prev_hash);
	int n = dprintf(out, "%u %s %llu %u %lld %u\n", r->next_seq, head, (unsigned long long)r->end_ms, sum.chunks, (long long)sum.bytes, r->torn);
	return n > 0 ? 0 : PREPARE_FAILED;
}

static int prepare_new(const struct recording_prepare *p, int out)
{
	const struct recording_dirs *d = &p->dirs;
	int r = dir_make_own(d, d->session);
	if (r == 0 && !str_eq(d->session, d->chunks)) {
		r = dir_make_own(d, d->chunks);
		if (r < 0)
			rmdir(d->session);
	}
	if (r == -EEXIST)
		return PREPARE_EXISTS;
	if (r < 0)
		return job_says(out, PREPARE_FAILED, "the directory of a recording cannot be made", -r);
	r = document_write(d, RECORD_MANIFEST, p->manifest);
	if (r < 0)
		return job_says(out, PREPARE_FAILED, RECORD_MANIFEST, -r);
	return 0;
}

static int64_t bytes_free(const char *path)
{
	struct statvfs s;
	return statvfs(path, &s) < 0 ? -1 : (int64_t)(s.f_bavail * s.f_frsize);
}

int recording_prepare_run(void *arg, int out)
{
	const struct recording_prepare *p = arg;
	const struct recording_dirs *d = &p->dirs;
	struct record_recovered found = { 0 };
	uint8_t id[RECORD_ID_BYTES];
	char why[RECORD_WHY_SIZE] = "";
	_cleanup_(xfreep) char *root = xstrndup(d->chunks, (size_t)(strrchr(d->chunks, '/') - d->chunks));
	int64_t left = p->manifest && p->high_water && dir_make(root, 0700) == 0 ? bytes_free(root) : -1;
	if (left >= 0 && left < p->high_water)
		return PREPARE_FULL;
	int r = p->manifest ? prepare_new(p, out) : 0;
	if (r)
		return r;
	_cleanup_(closep) int dir = dir_open(d->chunks);
	if (dir < 0)
		return job_says(out, PREPARE_FAILED, "the directory of the chunks", errno);
	if (!dir_lock(p, dir))
		return PREPARE_LOCKED;
	if (!account_enter(d))
		return job_says(out, PREPARE_FAILED, "the account of recorders", errno);
	r = record_id_parse(d->id, id) && !p->manifest ? record_recover(dir, id, NULL, NULL, &found, why) : 0;
	if (r == -EBADMSG) {
		dprintf(out, "%s", why);
		return PREPARE_DAMAGED;
	}
	if (r < 0)
		return job_says(out, PREPARE_FAILED, "the recording cannot be repaired", -r);
	if (!p->over && !job_pass_fd(out, dir))
		return PREPARE_FAILED;
	return say_found(out, dir, &found);
}

bool recording_prepare_parse(const char *text, struct recording_found *ret)
{
	unsigned long long end_ms;
	long long bytes;
	char head[65];
	struct recording_found f = { 0 };
	text += *text == '\n'; /* with the descriptor */
	if (sscanf(text, "%u %64s %llu %u %lld %u", &f.next_seq, head, &end_ms, &f.chunks, &bytes, &f.torn) != 6 || end_ms > INT64_MAX / 2000 || bytes < 0)
		return false;
	f.end_ms = (int64_t)end_ms;
	f.bytes = bytes;
	if (strlen(head) == 64)
		memcpy(f.head, head, sizeof f.head);
	*ret = f;
	return true;
}
