#include "store/indexes.h"

#include <stdio.h>

#include "lucid/str.h"

/* Beside one for each field: what is filtered by one field and sorted by another, and the newest first. The id stands last, as ties are
 * broken by it. */
static const struct extra {
	enum store_collection col;
	const char *name, *keys;
} extras[] = {
	{ COL_SERVERS, "owner", "user_id,created_at,_id" },
	{ COL_SERVERS, "owner_newest", "user_id,-created_at,_id" },
	{ COL_SERVERS, "newest", "-created_at,_id" },
	{ COL_SESSIONS, "owner", "user_id,created_at,_id" },
	{ COL_SESSIONS, "owner_newest", "user_id,-created_at,_id" },
	{ COL_SESSIONS, "newest", "-created_at,_id" },
	{ COL_SESSIONS, "project", "metadata_project,metadata_environment,_id" },
	{ COL_PORTS, "place", "node,port,_id" },
	{ COL_AUDIT, "newest", "-time,_id" },
	{ COL_AUDIT, "actor_newest", "actor,-time,_id" },
	{ COL_AUDIT, "action_newest", "action,-time,_id" },
	{ COL_AUDIT, "object_newest", "object,-time,_id" },
	{ COL_AUDIT, "outcome_newest", "outcome,-time,_id" },
};

void store_field_name(char dst[STORE_FIELD_NAME], const char *path)
{
	snprintf(dst, STORE_FIELD_NAME, "%s", path);
	for (char *p = dst; *p; p++)
		if (*p == '.')
			*p = '_';
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
	for (size_t j = 0; j < ARRAY_LEN(extras); j++)
		if (extras[j].col == col && i-- == 0) {
			snprintf(ret->name, sizeof ret->name, "%s", extras[j].name);
			snprintf(ret->keys, sizeof ret->keys, "%s", extras[j].keys);
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
