#include "store/sqlite/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/migrations.h"
#include "store/sqlite/db.h"
#include "store/sqlite/fault.h"

#define STEP_PAGES 128 /* copied at once */
#define REST 7 /* times as long as a step took writers have the machine to themselves: a backup can wait, they cannot */
#define WRITE_BEHIND                                                                                                   \
	(8 << 20) /* bytes that may wait for the disk: one flush of all of them would hold up every fsync */
#define OUT_NAME "/lucid-rdp backup" /* opens the descriptor; no such file exists */

static int out;

static int say(int err, char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s", what);
	return err;
}

static int one_number(sqlite3 *h, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(h, sql, -1, &st, NULL);
	if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	int end = sqlite3_finalize(st);
	return rc ? rc : end;
}

/* Checks that it is undamaged and of this program, and counts the documents of each collection. */
static int backup_check(struct sqlite_db *db, const char *check, struct backup_facts *ret, char *why, size_t size)
{
	sqlite3_stmt *st = NULL;
	int64_t id = 0, schema = 0;
	char sql[128];
	int rc = sqlite3_prepare_v2(db->h, check, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && !str_eq((const char *)sqlite3_column_text(st, 0), "ok")) {
		snprintf(why, size, "%s is damaged: %.200s", db->path, (const char *)sqlite3_column_text(st, 0));
		sqlite3_finalize(st);
		return -ERR_INVALID;
	}
	int end = sqlite3_finalize(st);
	rc = rc == SQLITE_ROW ? end : rc;
	if (rc == SQLITE_OK)
		rc = one_number(db->h, "PRAGMA application_id", &id);
	if (rc == SQLITE_OK)
		rc = one_number(db->h, "PRAGMA user_version", &schema);
	if (rc == SQLITE_OK &&
	    (id != STORE_APPLICATION_ID || schema < 1 || schema > store_schema_newest())) {
		snprintf(why, size,
			 id != STORE_APPLICATION_ID ? "%s is not a store of this program"
						    : "%s was written by a newer version of this program: use that version",
			 db->path);
		return -ERR_INVALID;
	}
	ret->schema = (int)schema;
	for (size_t i = 0; rc == SQLITE_OK && i < COL_COUNT; i++) {
		if (store_collections[i].since > schema) /* a store of an older version, not migrated yet */
			continue;
		snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", store_collections[i].name);
		rc = one_number(db->h, sql, &ret->counts[i]);
	}
	return rc == SQLITE_OK ? 0 : sqlite_fault(db, rc, why, size);
}

/* --- backup */

static int open_out(const char *path, int flags, int mode)
{
	return str_eq(path, OUT_NAME) ? fcntl(out, F_DUPFD_CLOEXEC, 3) : open(path, flags, mode);
}

/* SQLite opens files by name, and the owner of the store may not open any in the backup directory. So the name OUT_NAME opens the
 * descriptor that root has opened there. */
static void redirect_out(int fd)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	out = fd;
	vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)open_out);
}

static int copy_pages(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int rc = b ? SQLITE_OK : sqlite3_extended_errcode(to);
	int64_t pages = 0;
	while (b && rc == SQLITE_OK) {
		int64_t began_us = clock_mono_us();
		rc = sqlite3_backup_step(b, STEP_PAGES);
		pages += STEP_PAGES;
		if (pages % (WRITE_BEHIND / 4096) == 0)
			sync_file_range(out, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
		if (rc == SQLITE_OK)
			usleep((unsigned)MIN(REST * (clock_mono_us() - began_us), 100000));
	}
	int end = b ? sqlite3_backup_finish(b) : rc;
	return rc == SQLITE_DONE ? end : rc;
}

/* The header of the copy says that it has a write-ahead log, which it has not; change that, so that it can be read without one. */
static int forget_log(int fd)
{
	static const unsigned char no_log[2] = { 1, 1 };
	return pwrite(fd, no_log, sizeof no_log, 18) == sizeof no_log && fsync(fd) == 0 ? 0 : -errno;
}

static int check_copy(int fd, struct backup_facts *ret, char *why, size_t size)
{
	struct sqlite_db db = { .path = "the copy" };
	struct stat st;
	int rc = sqlite3_open_v2("file:" OUT_NAME "?immutable=1", &db.h,
				 SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	int r = rc ? sqlite_fault(&db, rc, why, size) : backup_check(&db, "PRAGMA quick_check(1)", ret, why, size);
	sqlite_db_close(&db);
	if (r == 0 && fstat(fd, &st) == 0)
		ret->bytes = st.st_size;
	return r;
}

static int copy_all(struct sqlite_db *db, struct backup_facts *ret, char *why, size_t size)
{
	struct sqlite_db to = { .path = "the backup directory" };
	int64_t unused = 0;
	/* one snapshot until the end: what is written meanwhile goes to the log */
	int rc = sqlite3_exec(db->h, "BEGIN", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = one_number(db->h, "SELECT count(*) FROM sqlite_schema", &unused);
	if (rc)
		return sqlite_fault(db, rc, why, size);
	rc = sqlite3_open_v2(OUT_NAME, &to.h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(to.h, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-512", NULL,
				  NULL, NULL);
	if (rc == SQLITE_OK)
		rc = copy_pages(db->h, to.h);
	int r = rc ? sqlite_fault(sqlite3_errcode(db->h) & 0xff ? db : &to, rc, why, size) : 0;
	sqlite_db_close(&to);
	if (r == 0 && forget_log(out) < 0)
		return say(-ERR_UNAVAILABLE, why, size,
			   "the copy could not be completed: check the disk of the backups");
	return r ? r : check_copy(out, ret, why, size);
}

int backup_copy(const char *path, int out_fd, struct backup_facts *ret, char *why, size_t size)
{
	struct sqlite_db db = { 0 };
	int64_t id = 0;
	redirect_out(out_fd);
	int rc = sqlite_open_reader(&db, path);
	if (rc == SQLITE_OK)
		rc = one_number(db.h, "PRAGMA application_id", &id);
	int r = rc ? sqlite_fault(&db, rc, why, size) : 0;
	if (r == 0 && id != STORE_APPLICATION_ID)
		r = say(-ERR_INVALID, why, size, "the existing file is not a store of this program");
	if (r == 0)
		r = copy_all(&db, ret, why, size);
	sqlite_db_close(&db);
	return r;
}

int backup_look(const char *path, struct backup_facts *ret, char *why, size_t size)
{
	struct sqlite_db db = { 0 };
	int rc = sqlite_open_reader(&db, path);
	int r = rc ? sqlite_fault(&db, rc, why, size) : backup_check(&db, "SELECT 'ok'", ret, why, size);
	sqlite_db_close(&db);
	return r;
}

/* --- restore */

static int copy_bytes(int from, int to)
{
	static char buf[1 << 16];
	ssize_t n;
	off_t at = 0;
	while ((n = pread(from, buf, sizeof buf, at)) > 0) {
		if (write(to, buf, (size_t)n) != n)
			return errno ? -errno : -ENOSPC;
		at += n;
	}
	return n < 0 || fsync(to) < 0 ? -errno : 0;
}

static void remove_all(const char *path)
{
	static const char *const beside[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		_cleanup_(xfreep) char *p = xasprintf("%s%s", path, beside[i]);
		unlink(p);
	}
}

int backup_rehearse(int in_fd, const char *to, struct backup_facts *ret, char *why, size_t size)
{
	struct sqlite_db db = { 0 };
	struct stat st;
	_cleanup_(closep) int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? -errno : copy_bytes(in_fd, fd);
	if (rc < 0) {
		snprintf(why, size, "%s cannot be written: %s", to, strerror(-rc));
		if (fd >= 0)
			unlink(to);
		return -ERR_UNAVAILABLE;
	}
	int r = sqlite_open_writer(&db, to, true, why, size);
	if (r == 0)
		r = backup_check(&db, "PRAGMA integrity_check(1)", ret, why, size);
	if (r == 0 && sqlite3_wal_checkpoint_v2(db.h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL))
		r = say(-ERR_UNAVAILABLE, why, size, "the copy could not be completed: check the disk of the store");
	int stay = 0; /* remove the log when the copy is closed */
	if (db.h)
		sqlite3_file_control(db.h, NULL, SQLITE_FCNTL_PERSIST_WAL, &stay);
	sqlite_db_close(&db);
	if (r == 0 && fstat(fd, &st) == 0)
		ret->bytes = st.st_size;
	if (r < 0)
		remove_all(to);
	return r;
}

/* Copies the log into the file, so that the two cannot be separated. A damaged file keeps its log. */
static void checkpoint_file(const char *path)
{
	sqlite3 *h = NULL;
	if (sqlite3_open_v2(path, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
		sqlite3_wal_checkpoint_v2(h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_close(h);
}

/* `path` exists at every moment: a program that started without it would create an empty store. */
int backup_replace(const char *from, const char *path, const char *aside, char *why, size_t size)
{
	_cleanup_(xfreep) char *log = xasprintf("%s-wal", path), *aside_log = xasprintf("%s-wal", aside),
			       *index = xasprintf("%s-shm", path);
	if (access(path, F_OK) == 0) {
		checkpoint_file(path);
		if (link(path, aside) < 0) {
			snprintf(why, size, "%s cannot be kept as %s: %s; nothing was replaced", path, aside,
				 strerror(errno));
			return -ERR_UNAVAILABLE;
		}
	}
	struct stat st;
	bool has_log = stat(log, &st) == 0 && st.st_size > 0;
	if (has_log ? rename(log, aside_log) < 0 : unlink(log) < 0 && errno != ENOENT) {
		snprintf(why, size, "cannot rename %s: %s; nothing was replaced", log, strerror(errno));
		unlink(aside);
		return -ERR_UNAVAILABLE;
	}
	unlink(index);
	if (rename(from, path) < 0) {
		snprintf(why, size, "%s cannot be put in place: %s; what was there is %s", from, strerror(errno),
			 aside);
		return -ERR_UNAVAILABLE;
	}
	sqlite_sync_directory(path);
	return 0;
}
