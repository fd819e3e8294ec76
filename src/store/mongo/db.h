/*
 * db: reads and writes of one request in MongoDB. Floor F3; blocks; a client is used by one thread at a time.
 *
 * A document is stored as { _id, version, <a member for each declared field>, json }. `json` is the document's text as it is given out,
 * so that a read copies bytes, and member names of a document mean nothing to the database. The database filters, sorts and indexes the
 * declared fields; a dot in their path becomes an underscore. Input of a caller is never parsed as BSON. When a collection
 * declares other fields than before, its documents are updated (mongo/refill.h).
 * An integer field `expires_at` (ms) is also stored as the date `expires`, for a TTL index.
 * Not for: threads and connections (mongo/jobs.h, mongo/monitor.h), indexes and schema versions (mongo/schema.h).
 */
#ifndef STORE_MONGO_DB_H
#define STORE_MONGO_DB_H

#include "store/driver.h"
#include "store/mongo/fault.h"

#define MONGO_META "store_meta" /* the collection of documents about the database itself */

/* All return false with *ret when they fail.
 * One write, with *ret_result: STORE_OK, EXISTS, STALE or MISSING. A write whose answer was lost is uncertain and not retried here: by then
 * the id may belong to another caller's document with the same version, which a second deletion would remove. (The library itself retries
 * where the server can tell a retry from the first attempt.) */
bool mongo_write(mongoc_client_t *c, const char *database, const struct store_request_op *op, enum store_result *ret_result,
		 struct mongo_fault *ret);
bool mongo_get(mongoc_client_t *c, const char *database, struct store_request *r, struct mongo_fault *ret);
bool mongo_list(mongoc_client_t *c, const char *database, struct store_request *r, struct mongo_fault *ret);
/* A command, with its reply; ret_reply is to be destroyed in both cases. */
bool mongo_command(mongoc_client_t *c, const char *database, const bson_t *command, bson_t *ret_reply, struct mongo_fault *ret);

#endif
