/* sqlite_open: what is looked at before a file is taken for our store, and how it is made. */
#include "store/sqlite_db.h"

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
		/* for whoever finds it taken; that it cannot be written matters to nobody */
		int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
		if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < 0)
			errno = 0;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
	pid[n > 0 ? strspn(pid, "0123456789") : 0] = 0;
	snprintf(why, size, "%s is in use by another process (%s): two programs cannot share one store, end the other one", path,
		 *pid ? pid : "its number is not known");
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
		 path, schema, store_migrations[store_migrations_n - 1].number);
	return -ERR_INVALID;
}

/* Whose file is it? Read as bytes, as SQLite could not look without leaving traces. Sets *ret_new when there is nothing in
 * it yet. */
static int look_at_head(const char *path, int fd, bool *ret_new, char *why, size_t size)
{
	unsigned char head[100] = { 0 };
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s is not a file: name another one for the store", path);
		return -ERR_INVALID;
	}
	ssize_t n = pread(fd, head, sizeof head, 0);
	if (n < 0) {
		snprintf(why, size, "%s cannot be read (%s): look at the disk and the kernel's log", path, strerror(errno));
		return -ERR_UNAVAILABLE;
	}
	*ret_new = n == 0;
	if (n == 0)
		return 0;
	if (n < (ssize_t)sizeof head || memcmp(head, "SQLite format 3", 16) != 0 || be32(head + 68) != STORE_APPLICATION_ID) {
		snprintf(why, size, "%s is not a store of this program and was left as it is: move it away, or name another file", path);
		return -ERR_INVALID;
	}
	if (be32(head + 60) > (uint32_t)store_migrations[store_migrations_n - 1].number)
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

/* Makes the file, as SQLite would take its mode from the umask; what SQLite lays beside it takes the file's. */
static int prepare_file(const char *path, bool *ret_new, char *why, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0) {
		snprintf(why, size, "%s cannot be opened (%s): its directory must exist and be writable for the user the server runs as",
			 path, strerror(errno));
		return errno == EISDIR ? -ERR_INVALID : -ERR_UNAVAILABLE;
	}
	int r = look_at_head(path, fd, ret_new, why, size);
	if (r == 0 && fchmod(fd, 0600) < 0) {
		snprintf(why, size, "%s cannot be made private (%s): it must belong to the user the server runs as", path,
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

/* All steps that are missing, in one transaction. */
static int migrate(struct sqlite_db *db, int64_t from)
{
	char sql[64];
	int rc = exec(db, "BEGIN IMMEDIATE");
	for (size_t i = 0; rc == SQLITE_OK && i < store_migrations_n; i++) {
		const struct store_migration *m = &store_migrations[i];
		if (m->number <= from)
			continue;
		rc = exec(db, m->sql);
		snprintf(sql, sizeof sql, "PRAGMA user_version=%d", m->number);
		if (rc == SQLITE_OK)
			rc = exec(db, sql);
	}
	if (rc == SQLITE_OK)
		rc = exec(db, "COMMIT");
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(db->h))
		exec(db, "ROLLBACK");
	return rc;
}

/* The name is in the file's head before anything else is written, and before the log that could hold it back. */
static int make_ours(struct sqlite_db *db, bool fresh)
{
	char sql[64];
	int rc = SQLITE_OK;
	snprintf(sql, sizeof sql, "PRAGMA application_id=%d", STORE_APPLICATION_ID);
	if (fresh)
		rc = exec(db, sql);
	if (rc == SQLITE_OK)
		rc = exec(db, "PRAGMA journal_mode=WAL");
	/* what lies beside the file stays there, emptied: a start on a full disk could not make it anew, not even to read */
	int stay = 1;
	return rc == SQLITE_OK ? sqlite3_file_control(db->h, NULL, SQLITE_FCNTL_PERSIST_WAL, &stay) : rc;
}

static int set_up(struct sqlite_db *db, bool fresh, char *why, size_t size)
{
	int64_t version = 0, newest = store_migrations[store_migrations_n - 1].number;
	int rc = make_ours(db, fresh);
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
	/* that reading works does not tell whether writing does; nor does a write of what is there already, which SQLite leaves out */
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

/* Before anything is written to it. A file so big that this takes longer than CHECK_MS is looked at for as long, which is 1; what is
 * found later leads here again. */
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
		r = set_up(db, fresh, why, size);
	}
	if (r == SQLITE_DAMAGED)
		sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (r < 0)
		sqlite_db_close(db);
	else
		db->half_checked = half_checked;
	return r;
}
