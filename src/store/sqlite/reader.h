/*
 * reader: the threads that answer lists, and reads that missed the cache. Floor F3, of this room alone. A reader is started when there
 * is more to read than idle readers, up to SQLITE_READERS; each has a read-only connection of its own. With a write-ahead log they
 * neither wait for the writer nor delay it.
 */
#ifndef STORE_SQLITE_READER_H
#define STORE_SQLITE_READER_H

#include "store/sqlite/queues.h"

/* Any thread, with the lock held: wakes a reader for what was queued, and starts one more where that is of use. False: there is none,
 * as no thread could be started. */
bool sqlite_reader_wake(struct store_driver *d);
/* After `closing` was set and `reads_more` was signalled. */
void sqlite_reader_join(struct store_driver *d);

#endif
