/*
 * fault: what an error of libmongoc means for the store. Floor F3, any thread, does not block.
 */
#ifndef STORE_MONGO_FAULT_H
#define STORE_MONGO_FAULT_H

#include <mongoc/mongoc.h>

#include "lucid/base.h"

#define MONGO_WHY 512

struct mongo_fault {
	int err;	/* negated; 0: none */
	bool down;	/* the next request would most likely fail in the same way */
	bool uncertain; /* of a write: it may have happened */
	char why[MONGO_WHY];
};

void mongo_fault_set(struct mongo_fault *f, const bson_error_t *e);

#endif
