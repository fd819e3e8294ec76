/*
 * indexes: what a database of documents (MongoDB) is told to index, for every filter and sort that the collections declare. Floor F3, a
 * table and what follows from collections.c; made by the driver when it prepares a database, and printed into deploy/mongo-init.js.
 * Not for: the embedded store, whose indexes are in its migrations.
 */
#ifndef STORE_INDEXES_H
#define STORE_INDEXES_H

#include "lucid/store.h"

#define STORE_FIELD_NAME 64
/* A declared field as a member beside the document's text: its path, with underscores for dots. */
void store_field_name(char dst[STORE_FIELD_NAME], const char *path);
/* The member that holds when a document may go, as a date; NULL: the collection keeps what it has. */
const char *store_expiry_name(enum store_collection col);

struct store_index {
	char name[STORE_FIELD_NAME];
	char keys[160]; /* "a,-b": ascending by a, then descending by b */
	bool expires;	/* documents go when the date under it is past */
};
/* The i-th index of a collection; false: there are no more. The expiring one is the last. */
bool store_index_at(enum store_collection col, size_t i, struct store_index *ret);

#endif
