/* module: what open_mongo.c looks for in the module with the MongoDB driver. Floor F3. */
#ifndef STORE_MONGO_MODULE_H
#define STORE_MONGO_MODULE_H

#include "store/open.h"

extern const char store_mongo_version[]; /* of the program that it was built with; only that version may load it */
/* As store_open_mongo; NULL: the library rejects the URL. */
struct store *store_mongo_open(struct loop *l, const struct store_options *o, void (*on_open)(int err, const char *why, void *arg), void *arg);

#endif
