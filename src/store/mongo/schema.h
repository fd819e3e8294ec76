/*
 * schema: prepares a database for the store: checks that it is ours and of a known version, creates missing indexes, and fills declared
 * fields that its documents lack (mongo/refill.h). Floor F3; blocks.
 *
 * Two documents of `store_meta` describe the database as a whole: `schema` {application, number}, and `lease` {holder, until}. Only the
 * holder of the lease changes anything; it expires by the server's clock. The numbers are those of migrations.c, so that both stores count
 * the same steps. A collection needs no step of its own here: MongoDB creates it with its first index or document.
 */
#ifndef STORE_MONGO_SCHEMA_H
#define STORE_MONGO_SCHEMA_H

#include "store/mongo/fault.h"

/* 0, or a negated error; -ERR_INVALID is final (a newer schema, or another program's database). Waits while another process holds the
 * lease. `closing` is read atomically; once it is true this returns soon with -ERR_UNAVAILABLE, and the next call continues. */
int mongo_schema(mongoc_client_t *c, const char *database, const bool *closing, struct mongo_fault *ret);

#endif
