/*
 * mongo_db: what is asked of MongoDB, and what it answers. Floor F3; blocks; a client is used by one thread at a time.
 *
 * A document is stored as { _id, version, <a member for each declared field>, json }: `json` is the document's text as it is
 * given out, so that a read copies bytes and no member name means anything to the database; the declared fields (a dot in
 * their path becomes an underscore) are what it filters, sorts and indexes. Nothing of a caller's is ever parsed as BSON.
 * When a collection declares other fields than before, its documents are filled anew (mongo_refill.c).
 * An integer field `expires_at` (ms) stands a second time as the date `expires`, for a TTL index.
 * Not for: threads, connections that come and go (mongo_driver.c), indexes and versions of the schema (mongo_schema.c).
 */
#ifndef STORE_MONGO_DB_H
#define STORE_MONGO_DB_H

#include <mongoc/mongoc.h>

#include "store/driver.h"

#define MONGO_WHY 512
#define MONGO_META "store_meta" /* documents about the database itself */

struct mongo_fault {
	int err;	/* negated; 0: none */
	bool away;	/* whoever asks next will most likely meet the same */
	bool uncertain; /* of a write: it may have happened */
	char why[MONGO_WHY];
};

/* mongo_db.c */
/* One write. True with *ret_result (STORE_OK, EXISTS, STALE, MISSING), else what went wrong. A write whose answer was lost is
 * uncertain and not tried again: the same id may be somebody else's by then, with the same version, and a second deletion would take what
 * was acknowledged to them. (The library itself tries again where the server can tell a second try from the first.) */
bool mongo_write(mongoc_client_t *c, const char *database, const struct store_request_op *op, enum store_result *ret_result,
		 struct mongo_fault *ret);
bool mongo_get(mongoc_client_t *c, const char *database, struct store_request *r, struct mongo_fault *ret);
bool mongo_list(mongoc_client_t *c, const char *database, struct store_request *r, struct mongo_fault *ret);
bool mongo_command(mongoc_client_t *c, const char *database, const bson_t *command, bson_t *ret_reply, struct mongo_fault *ret);
void mongo_fault_set(struct mongo_fault *f, const bson_error_t *e);

/* mongo_bson.c */
void mongo_document(bson_t *to, const struct store_request_op *op);
void mongo_filter(bson_t *to, const struct store_request *r);
void mongo_options(bson_t *to, const struct store_query *q); /* sort, skip, limit, projection */

/* mongo_schema.c */
/* The database is ours, of a version that is known, and has its indexes: makes what is missing, one program at a time. 0, or a
 * negated error: -ERR_INVALID is final (newer, or not ours). */
int mongo_schema(mongoc_client_t *c, const char *database, const bool *closing, struct mongo_fault *ret);

/* mongo_refill.c */
/* Which collections have documents of other declared fields than those of today, as far as the database tells: how many, or a
 * negated error. */
int mongo_unfilled(mongoc_client_t *c, const char *database, bool ret_which[COL_COUNT], struct mongo_fault *ret);
/* All documents of one get the fields that are declared today. Before each batch go_on says whether it may still; cut off, the
 * next call goes on there. 0, or a negated error. By one program at a time; others may write. */
int mongo_refill(mongoc_client_t *c, const char *database, enum store_collection col, bool (*go_on)(void *arg, struct mongo_fault *ret), void *arg,
		 struct mongo_fault *ret);

#endif
