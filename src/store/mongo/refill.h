/*
 * refill: gives documents that were written when a collection declared other fields those that it declares now, as the embedded store's
 * migrations fill a new column. Floor F3; blocks.
 *
 * `store_meta` records progress: `fields` {a member for each collection, its fields and their types}, and during a pass `refill`
 * {collection, fields, after}, so that an interrupted pass continues behind its last complete batch.
 *
 * A document that differs from what would be written today is replaced by that, with the same text. Other processes write meanwhile, and
 * their writes are never undone: a document is replaced only while it has the text that the fields were taken from. A program of an
 * older version that still runs writes documents without the new fields, during the pass and after it; they get the fields with their
 * next write.
 */
#ifndef STORE_MONGO_REFILL_H
#define STORE_MONGO_REFILL_H

#include "lucid/store.h"
#include "store/mongo/fault.h"

/* Which collections were not filled with the fields that are declared today, by `store_meta`: how many, or a negated error. */
int mongo_unfilled(mongoc_client_t *c, const char *database, bool ret_which[COL_COUNT], struct mongo_fault *ret);
/* One pass over a collection, by one process at a time; others may write. Before each batch go_on says whether to continue. 0, or a
 * negated error; the next call continues where this one stopped. */
int mongo_refill(mongoc_client_t *c, const char *database, enum store_collection col, bool (*go_on)(void *arg, struct mongo_fault *ret), void *arg,
		 struct mongo_fault *ret);

#endif
