/*
 * library: libmongoc and how the program uses it: initialisation, its log, and the options of a connection. Floor F3; does not block.
 * Not for: reading a MONGODB_URL for faults (mongo/url.c), which the program does without this library.
 */
#ifndef STORE_MONGO_LIBRARY_H
#define STORE_MONGO_LIBRARY_H

#include <mongoc/mongoc.h>

#include "store/open.h"

void mongo_library_init(void); /* any number of times; the library is cleaned up at exit */
/* The URL of the store's options, with the options that it does not set itself. NULL: the library rejects it. */
mongoc_uri_t *mongo_library_uri(const struct store_options *o);

#endif
