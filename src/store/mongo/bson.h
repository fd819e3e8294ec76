/*
 * bson: requests as BSON: documents as they are stored (mongo/db.h), filters, and the options of a find. Floor F3, any thread, does not
 * block.
 */
#ifndef STORE_MONGO_BSON_H
#define STORE_MONGO_BSON_H

#include <mongoc/mongoc.h>

#include "store/driver.h"

/* Each appends to `to`. */
void mongo_document(bson_t *to, const struct store_request_op *op);
void mongo_filter(bson_t *to, const struct store_request *r);
void mongo_options(bson_t *to, const struct store_query *q); /* sort, skip, limit, projection */

#endif
