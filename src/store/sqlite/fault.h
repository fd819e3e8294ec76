/*
 * fault: what a result code of SQLite means for the store: an error code, a sentence, and whether the connection can still be used.
 * Floor F3, of this room alone, any thread, does not block.
 */
#ifndef STORE_SQLITE_FAULT_H
#define STORE_SQLITE_FAULT_H

#include "store/sqlite/db.h"

/* rc: the extended code. Returns a negated error, with a sentence that says what failed and what to do. */
int sqlite_fault(const struct sqlite_db *db, int rc, char *why, size_t size);
/* The connection cannot be used any more: close it, and open the file again. */
bool sqlite_fault_is_lasting(int rc);
bool sqlite_fault_is_damage(int rc);
bool sqlite_fault_is_full(const struct sqlite_db *db, int rc); /* the disk */

#endif
