#include "store/indexes.h"

#include <stdio.h>

#include "lucid/str.h"

static void replace_dots(char *s)
{
	for (; *s; s++)
		if (*s == '.')
			*s = '_';
}

void store_field_name(char dst[STORE_FIELD_NAME], const char *path)
{
	snprintf(dst, STORE_FIELD_NAME, "%s", path);
	replace_dots(dst);
}

const char *store_expiry_name(enum store_collection col)
{
	const struct store_collection_def *def = &store_collections[col];
	for (size_t i = 0; i < def->n; i++)
		if (str_eq(def->fields[i].path, "expires_at"))
			return "expires";
	return NULL;
}

bool store_index_at(enum store_collection col, size_t i, struct store_index *ret)
{
	const struct store_collection_def *def = &store_collections[col];
	*ret = (struct store_index){ .expires = false };
	if (i < def->n) {
		store_field_name(ret->name, def->fields[i].path);
		snprintf(ret->keys, sizeof ret->keys, "%s%s", ret->name, def->fields[i].type == STORE_TEXT_LIST ? "" : ",_id");
		return true;
	}
	i -= def->n;
	for (const struct store_index_def *x = def->mongodb; x->name; x++)
		if (i-- == 0) {
			snprintf(ret->name, sizeof ret->name, "%s", x->name);
			snprintf(ret->keys, sizeof ret->keys, "%s,_id", x->keys); /* the id last, as it breaks ties */
			replace_dots(ret->keys);
			return true;
		}
	const char *expiry = store_expiry_name(col);
	if (!expiry || i > 0)
		return false;
	snprintf(ret->name, sizeof ret->name, "%s", expiry);
	snprintf(ret->keys, sizeof ret->keys, "%s", expiry);
	ret->expires = true;
	return true;
}
