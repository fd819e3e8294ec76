/*
 * sqlite_db: one connection to the embedded store and its statements. Floor F3; used by one thread at a time, blocks. The
 * functions give SQLite's result codes; sqlite_fault makes an error and a sentence of them.
 * Not for: threads and queues (sqlite_driver.c), what is checked before a file is taken for ours (sqlite_open.c).
 */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>

#include "store/driver.h"

#define SQLITE_LIST_STATEMENTS 16 /* of different shapes, kept prepared */

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
	bool half_checked; /* when it was opened */
};

/* sqlite_open.c: an exclusive lock on the file beside the store; one try. 0 with ret_fd, or -ERR_BUSY (someone has it), or
 * -ERR_UNAVAILABLE, with a sentence. */
int sqlite_lock_try(const char *path, int *ret_fd, char *why, size_t size);
#define SQLITE_DAMAGED (-ERR_MALFORMED)

/* sqlite_open.c: the writer's connection: checks that the file is ours and whole, makes it, migrates it. `untouched`: no
 * connection of this process has the file open, so that its head may be read. 0, 1 (open and read, but the disk is too full to
 * write, with a sentence), -ERR_UNAVAILABLE (try again), -ERR_INVALID (final), or SQLITE_DAMAGED (final, and the file was left as
 * it is). */
int sqlite_open_writer(struct sqlite_db *db, const char *path, bool untouched, char *why, size_t size);
void sqlite_sync_directory(const char *path); /* sqlite_open.c: of the file; its name then outlives a power cut */
/* A read-only connection to a store that is open. */
int sqlite_open_reader(struct sqlite_db *db, const char *path);
int sqlite_settings(struct sqlite_db *db, bool writer); /* what every connection is told */
void sqlite_db_close(struct sqlite_db *db);		 /* also what is not open */

int sqlite_run(struct sqlite_db *db, sqlite3_stmt **stmt, const char *sql); /* prepared once; without rows */
/* One write. SQLITE_OK with *ret_result, or a fault. */
int sqlite_write(struct sqlite_db *db, const struct store_request_op *op, enum store_result *ret_result);
int sqlite_get(struct sqlite_db *db, struct store_request *r);
int sqlite_list(struct sqlite_db *db, struct store_request *r); /* sqlite_query.c; may also fail the request */
struct blob *sqlite_column_blob(sqlite3_stmt *st, int column);
void sqlite_bind_string(sqlite3_stmt *st, int at, const char *s); /* borrowed; NULL binds null */
void sqlite_column_name(char dst[64], const char *path);

/* A code and a sentence for what SQLite said; rc is kept extended. */
int sqlite_fault(const struct sqlite_db *db, int rc, char *why, size_t size);
/* The connection is of no more use after that. */
bool sqlite_fault_is_lasting(int rc);
bool sqlite_fault_is_damage(int rc);
bool sqlite_fault_is_full(const struct sqlite_db *db, int rc);

#endif
