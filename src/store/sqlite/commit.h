/*
 * commit: what the writer does to an open file. Floor F3, of this room alone, the writer's thread, blocks. Group commit: all write lists
 * that were queued during the last fsync become the next transaction, and are answered after COMMIT, a batch at once.
 * Not for: opening the file, and when to do what (sqlite/writer.c).
 */
#ifndef STORE_SQLITE_COMMIT_H
#define STORE_SQLITE_COMMIT_H

#include "store/sqlite/queues.h"

/* Takes what is queued, commits it and answers it. Where that fails the transaction is rolled back, the failure is reported, and a
 * connection that cannot be used any more is closed (SQLITE_STATE_DOWN). */
void sqlite_commit_batch(struct store_driver *d);
/* While the store is failing: whether a write succeeds again. Both outcomes are reported as above. */
void sqlite_commit_probe(struct store_driver *d);

#endif
