/*
 * db: one connection to the embedded store and its statements. Floor F3, of this room alone; used by one thread at a time, blocks. The
 * functions return SQLite's result codes; sqlite/fault.h translates them.
 * Not for: threads and queues (sqlite/queues.h).
 */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>

#include "store/driver.h"

#define SQLITE_LIST_STATEMENTS 16 /* prepared statements of lists that are kept */

struct sqlite_db {
	sqlite3 *h; /* NULL: not open */
	const char *path;
	sqlite3_stmt *begin, *commit, *rollback, *savepoint, *release, *undo, *probe;
	sqlite3_stmt *write[COL_COUNT][STORE_DELETE + 1], *get[COL_COUNT], *version[COL_COUNT];
	struct sqlite_list {
		char *sql;
		sqlite3_stmt *stmt;
		uint64_t used;
	} lists[SQLITE_LIST_STATEMENTS];
	uint64_t uses;
	bool half_checked; /* the check at opening ran out of time */
};

/* sqlite/open.c: tries once to lock the lock file beside the store. 0 with ret_fd, -ERR_BUSY (another process has it) or -ERR_UNAVAILABLE,
 * with a sentence. */
int sqlite_lock_try(const char *path, int *ret_fd, char *why, size_t size);
#define SQLITE_DAMAGED (-ERR_MALFORMED)

/* sqlite/open.c: the writer's connection. Creates the file if it does not exist, checks that it is a store of ours and undamaged, and migrates
 * it. `untouched`: no connection of this process has the file open, so that its header may be read directly. Returns 0, 1 (the disk is too
 * full to write; reads work), -ERR_UNAVAILABLE (retry), -ERR_INVALID (final) or SQLITE_DAMAGED (final; the file was not changed), each
 * but 0 with a sentence. */
int sqlite_open_writer(struct sqlite_db *db, const char *path, bool untouched, char *why, size_t size);
void sqlite_sync_directory(const char *path); /* sqlite/open.c: fsync of the file's directory, so that its name survives a power failure */
/* A read-only connection. SQLITE_NOTADB without a connection: not a regular file. */
int sqlite_open_reader(struct sqlite_db *db, const char *path);
int sqlite_settings(struct sqlite_db *db, bool writer); /* settings of a new connection */
void sqlite_db_close(struct sqlite_db *db);		 /* also if it is not open */

int sqlite_run(struct sqlite_db *db, sqlite3_stmt **stmt, const char *sql); /* prepares the statement once; ignores its rows */
/* One write: SQLITE_OK with *ret_result, or the code of a failure. */
int sqlite_write(struct sqlite_db *db, const struct store_request_op *op, enum store_result *ret_result);
int sqlite_get(struct sqlite_db *db, struct store_request *r);
int sqlite_list(struct sqlite_db *db, struct store_request *r); /* sqlite/query.c; fails the request if its documents are too large */
struct blob *sqlite_column_blob(sqlite3_stmt *st, int column);
void sqlite_bind_string(sqlite3_stmt *st, int at, const char *s); /* borrowed; NULL binds null */
void sqlite_column_name(char dst[64], const char *path);

#endif
