/*
 * writer: the thread that holds the file of the embedded store: takes the lock, opens, checks and migrates the file, commits what is
 * queued (sqlite/commit.c), copies the write-ahead log back when nothing is written for a while, and opens the file again after a
 * failure. Floor F3, of this room alone.
 */
#ifndef STORE_SQLITE_WRITER_H
#define STORE_SQLITE_WRITER_H

#include "store/sqlite/queues.h"

/* Loop thread. The thread begins with opening the file. 0, or an errno with nothing started. */
int sqlite_writer_start(struct store_driver *d);
/* After `closing` was set and `work` was signalled. What is queued is committed first. The file stays open and locked. */
void sqlite_writer_join(struct store_driver *d);

#endif
