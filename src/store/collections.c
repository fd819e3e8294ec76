#include "lucid/store.h"

#include "lucid/str.h"
#include "store/driver.h"

/* The table of collections, from the rows of lucid/collections.def. */
#define CACHED false
#define UNCACHED true
#define TEXT(...) { STORE_TEXT, __VA_ARGS__ },
#define INTEGER(...) { STORE_INTEGER, __VA_ARGS__ },
#define LIST(...) { STORE_TEXT_LIST, __VA_ARGS__ },
#define FIELDS(...) ((const struct store_field[]){ __VA_ARGS__ { .path = NULL } })
#define INDEX(...) { __VA_ARGS__ },
#define EMBEDDED(...) (const struct store_index_def[]){ __VA_ARGS__ { NULL } }
#define MONGODB EMBEDDED
#define COLLECTION(id, its_name, version, is_uncached, its_fields, its_embedded, its_mongodb)                          \
	[COL_##id] = { .name = its_name, .since = version, .uncached = is_uncached, .fields = its_fields,              \
		       .n = ARRAY_LEN(its_fields) - 1, .embedded = its_embedded, .mongodb = its_mongodb },

const struct store_collection_def store_collections[COL_COUNT] = {
#include "lucid/collections.def"
};

bool store_field_is_integer(enum store_collection col, const char *path)
{
	const struct store_collection_def *def = &store_collections[col];
	for (size_t i = 0; i < def->n; i++)
		if (str_eq(def->fields[i].path, path))
			return def->fields[i].type == STORE_INTEGER;
	return false;
}
