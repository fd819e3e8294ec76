/* open: checks before a file is used as our store, its creation and its migration (sqlite/db.h). */
#include "store/sqlite/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/fault.h"
#include "lucid/str.h"
#include "store/migrations.h"
#include "store/sqlite/fault.h"

int sqlite_lock_try(const char *path, int *ret_fd, char *why, size_t size)
{
	_cleanup_(xfreep) char *name = xasprintf("%s.lock", path);
	_cleanup_(closep) int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char pid[16] = "";
	if (fd < 0) {
		snprintf(why, size, "%s cannot be opened (%s): its directory must exist and be writable for the user the server runs as",
			 name, strerror(errno));
		return -ERR_UNAVAILABLE;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		/* for the message of a process that finds it locked; a failed write does no harm */
		int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
		if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < 0)
			errno = 0;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
	pid[n > 0 ? strspn(pid, "0123456789") : 0] = 0;
	snprintf(why, size, "%s is in use by another process (%s): two processes cannot share an embedded store; end the other one", path,
		 *pid ? pid : "pid unknown");
	return -ERR_BUSY;
}

#define CHECK_MS 3000

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int newer(const char *path, uint32_t schema, char *why, size_t size)
{
	snprintf(why, size, "%s was written by a newer version of this program (its schema is %u, this one knows %d): run that version, or restore a backup made before the upgrade",
		 path, schema, store_schema_newest());
	return -ERR_INVALID;
}

/* Checks by its header that the file is ours. Read directly, as SQLite would create files beside it. *ret_new: it is empty. */
static int check_header(const char *path, int fd, bool *ret_new, char *why, size_t size)
{
	unsigned char head[100] = { 0 };
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s is not a file: name another one for the store", path);
		return -ERR_INVALID;
	}
	ssize_t n = pread(fd, head, sizeof head, 0);
	if (n < 0) {
		snprintf(why, size, "%s cannot be read (%s): check the disk and the kernel log", path, strerror(errno));
		return -ERR_UNAVAILABLE;
	}
	*ret_new = n == 0;
	if (n == 0)
		return 0;
	if (n < (ssize_t)sizeof head || memcmp(head, "SQLite format 3", 16) != 0 || be32(head + 68) != STORE_APPLICATION_ID) {
		snprintf(why, size, "%s is not a store of this program and was not changed: move it away, or name another file", path);
		return -ERR_INVALID;
	}
	if (be32(head + 60) > (uint32_t)store_schema_newest())
		return newer(path, be32(head + 60), why, size);
	return 0;
}

void sqlite_sync_directory(const char *path)
{
	_cleanup_(xfreep) char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	_cleanup_(closep) int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

/* Creates the file, as SQLite would take its mode from the umask. Files that SQLite creates beside it get the same mode. */
static int prepare_file(const char *path, bool *ret_new, char *why, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0) {
		snprintf(why, size, "%s cannot be opened (%s): its directory must exist and be writable for the user the server runs as",
			 path, strerror(errno));
		return errno == EISDIR ? -ERR_INVALID : -ERR_UNAVAILABLE;
	}
	int r = check_header(path, fd, ret_new, why, size);
	if (r == 0 && fchmod(fd, 0600) < 0) {
		snprintf(why, size, "cannot set the mode of %s (%s): it must be owned by the user that the server runs as", path,
			 strerror(errno));
		r = -ERR_UNAVAILABLE;
	}
	return r;
}

static int number(struct sqlite_db *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, sql, -1, &st, NULL);
	if (rc)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	int end = sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : end ? end : SQLITE_CORRUPT;
}

static int exec(struct sqlite_db *db, const char *sql)
{
	return sqlite3_exec(db->h, sql, NULL, NULL, NULL);
}

/* Runs all missing steps, in one transaction. */
static int migrate(struct sqlite_db *db, int64_t from)
{
	char sql[64];
	int rc = exec(db, "BEGIN IMMEDIATE");
	for (int number = (int)from + 1; rc == SQLITE_OK && number <= store_schema_newest(); number++) {
		_cleanup_(xfreep) char *step = store_migration_sql(number);
		rc = exec(db, step);
		snprintf(sql, sizeof sql, "PRAGMA user_version=%d", number);
		if (rc == SQLITE_OK)
			rc = exec(db, sql);
	}
	if (rc == SQLITE_OK)
		rc = exec(db, "COMMIT");
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(db->h))
		exec(db, "ROLLBACK");
	return rc;
}

/* The application id is written before anything else, and before the write-ahead log is on, so that it is in the header itself. It is read
 * first, as a header may have it and lose it again: if the process was killed during this write, the rollback journal undoes it. */
static int make_ours(struct sqlite_db *db)
{
	char sql[64];
	int64_t id = 0;
	int rc = number(db, "PRAGMA application_id", &id);
	snprintf(sql, sizeof sql, "PRAGMA application_id=%d", STORE_APPLICATION_ID);
	if (rc == SQLITE_OK && id != STORE_APPLICATION_ID)
		rc = exec(db, sql);
	if (rc == SQLITE_OK)
		rc = exec(db, "PRAGMA journal_mode=WAL");
	/* keep the empty log when the store is closed: a start on a full disk could not create it again, and then not even read */
	int stay = 1;
	return rc == SQLITE_OK ? sqlite3_file_control(db->h, NULL, SQLITE_FCNTL_PERSIST_WAL, &stay) : rc;
}

static int set_up(struct sqlite_db *db, char *why, size_t size)
{
	int64_t version = 0, newest = store_schema_newest();
	int rc = make_ours(db);
	if (rc == SQLITE_OK)
		rc = sqlite_settings(db, true);
	if (rc == SQLITE_OK)
		rc = number(db, "PRAGMA user_version", &version);
	if (rc == SQLITE_OK && version > newest) {
		sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		return newer(db->path, (uint32_t)version, why, size);
	}
	if (rc == SQLITE_OK && version < newest)
		rc = migrate(db, version);
	bool readable = rc == SQLITE_OK;
	/* whether writing works is known only after a write, of a value that differs: SQLite omits a write without a change */
	if (rc == SQLITE_OK)
		rc = exec(db, "INSERT INTO store_probe VALUES(1,unixepoch()) ON CONFLICT(one) DO UPDATE SET at=max(excluded.at,at+1)");
	if (rc == SQLITE_OK)
		return 0;
	bool full = sqlite_fault_is_full(db, rc), damaged = sqlite_fault_is_damage(rc);
	int r = sqlite_fault(db, rc, why, size);
	return damaged ? SQLITE_DAMAGED : readable && full ? 1 : r;
}

static int time_is_up(void *until_ms)
{
	return clock_mono_ms() >= *(const int64_t *)until_ms;
}

/* Checks the file before anything is written to it, for CHECK_MS at most. 0, 1 (the time was over; damage that is found later leads here
 * again), or SQLITE_DAMAGED. */
static int check(const char *path, char *why, size_t size)
{
	struct sqlite_db db = { 0 };
	sqlite3_stmt *st = NULL;
	bool hurry = fault_hit("store.check");
	int64_t until_ms = clock_mono_ms() + (hurry ? 0 : CHECK_MS);
	int rc = sqlite_open_reader(&db, path);
	if (rc == SQLITE_OK) {
		sqlite3_db_config(db.h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		sqlite3_progress_handler(db.h, hurry ? 1 : 10000, time_is_up, &until_ms);
		rc = sqlite3_prepare_v2(db.h, "PRAGMA quick_check(1)", -1, &st, NULL);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	const char *found = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : "ok";
	bool damaged = sqlite_fault_is_damage(rc) || !found || !str_eq(found, "ok");
	if (damaged)
		snprintf(why, size, "%s is damaged", path);
	sqlite3_finalize(st);
	sqlite_db_close(&db);
	return damaged ? SQLITE_DAMAGED : rc == SQLITE_INTERRUPT;
}

int sqlite_open_writer(struct sqlite_db *db, const char *path, bool untouched, char *why, size_t size)
{
	bool fresh = false;
	*db = (struct sqlite_db){ .path = path };
	if (untouched) {
		int r = prepare_file(path, &fresh, why, size);
		if (r < 0)
			return r;
		if (fresh)
			sqlite_sync_directory(path);
	}
	int r = fresh ? 0 : check(path, why, size);
	if (r < 0)
		return r;
	bool half_checked = r;
	int rc = sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc) {
		r = sqlite_fault(db, rc, why, size);
	} else {
		sqlite3_extended_result_codes(db->h, 1);
		sqlite3_busy_timeout(db->h, 5000);
		r = set_up(db, why, size);
	}
	if (r == SQLITE_DAMAGED)
		sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (r < 0)
		sqlite_db_close(db);
	else
		db->half_checked = half_checked;
	return r;
}
