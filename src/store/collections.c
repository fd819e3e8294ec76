#include "lucid/store.h"

#include "lucid/str.h"
#include "store/driver.h"

/* What the lists of api.md filter and sort on, and what sweeps look for. A field that is added here needs a column
 * (migrations.c), and what a MongoDB has is filled by itself (mongo_refill.c); a boolean counts as the integer 0 or 1. */

static const struct store_field servers[] = {
	{ "status", STORE_TEXT },	{ "user_id", STORE_TEXT },    { "node", STORE_TEXT },
	{ "name", STORE_TEXT },		{ "port", STORE_INTEGER },    { "created_at", STORE_TEXT },
	{ "updated_at", STORE_TEXT },	{ "tags", STORE_TEXT_LIST },  { "auto_start", STORE_INTEGER },
};
static const struct store_field sessions[] = {
	{ "status", STORE_TEXT },     { "user_id", STORE_TEXT },	  { "server_id", STORE_TEXT },
	{ "node", STORE_TEXT },	      { "created_at", STORE_TEXT },	  { "updated_at", STORE_TEXT },
	{ "metadata.project", STORE_TEXT }, { "metadata.environment", STORE_TEXT },
};
static const struct store_field ports[] = {
	{ "node", STORE_TEXT },
	{ "server_id", STORE_TEXT },
	{ "port", STORE_INTEGER },
};
static const struct store_field names[] = {
	{ "server_id", STORE_TEXT },
};
static const struct store_field nodes[] = {
	{ "name", STORE_TEXT },
	{ "heartbeat_at", STORE_TEXT },
};
static const struct store_field audit[] = {
	{ "time", STORE_TEXT },	  { "actor", STORE_TEXT },   { "action", STORE_TEXT },
	{ "object", STORE_TEXT }, { "outcome", STORE_TEXT },
};
static const struct store_field idempotency[] = {
	{ "expires_at", STORE_INTEGER },
};
static const struct store_field leases[] = {
	{ "holder", STORE_TEXT },
};

const struct store_collection_def store_collections[COL_COUNT] = {
	[COL_SERVERS] = { "rdp_servers", servers, ARRAY_LEN(servers) },
	[COL_SESSIONS] = { "rdp_sessions", sessions, ARRAY_LEN(sessions) },
	[COL_PORTS] = { "rdp_ports", ports, ARRAY_LEN(ports) },
	[COL_NAMES] = { "rdp_names", names, ARRAY_LEN(names) },
	[COL_NODES] = { "nodes", nodes, ARRAY_LEN(nodes), .uncached = true },
	[COL_AUDIT] = { "audit_log", audit, ARRAY_LEN(audit), .uncached = true },
	[COL_IDEMPOTENCY] = { "idempotency_keys", idempotency, ARRAY_LEN(idempotency) },
	[COL_LEASES] = { "leases", leases, ARRAY_LEN(leases), .uncached = true },
};

bool store_field_is_integer(enum store_collection col, const char *path)
{
	const struct store_collection_def *def = &store_collections[col];
	for (size_t i = 0; i < def->n; i++)
		if (str_eq(def->fields[i].path, path))
			return def->fields[i].type == STORE_INTEGER;
	return false;
}
