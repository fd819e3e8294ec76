/*
 * indexes: the indexes of a collection in MongoDB: one on each declared field, and those of its row (lucid/collections.def). Floor F3, any
 * thread. The driver creates them when it prepares a database (mongo/schema.c); deploy/mongo-init.js lists them.
 * Not for: the embedded store, whose migrations create its indexes (migrations.c).
 */
#ifndef STORE_INDEXES_H
#define STORE_INDEXES_H

#include "lucid/store.h"

#define STORE_FIELD_NAME 64
/* The member that holds a declared field's value: its path, with underscores for dots. */
void store_field_name(char dst[STORE_FIELD_NAME], const char *path);
/* The member that holds a document's expiry as a date; NULL: its documents do not expire. */
const char *store_expiry_name(enum store_collection col);

struct store_index {
	char name[STORE_FIELD_NAME];
	char keys[160]; /* "a,-b": ascending by a, then descending by b */
	bool expires;	/* a TTL index: MongoDB removes documents whose date has passed */
};
/* The i-th index of a collection; false: there are no more. A TTL index is the last one. */
bool store_index_at(enum store_collection col, size_t i, struct store_index *ret);

#endif
