#include "store/migrations.h"

/* A collection is a table: id, version, the document's text, and a column for each declared field (f_ and its path with
 * underscores) that the writer fills in. The text stands last, so that looking at the columns does not read it.
 * Of servers there are a thousand at most: passing over those costs less than keeping an index a filter. */
#define COLLECTION(name, columns)                                                                                      \
	"CREATE TABLE " name "(id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, " columns ", doc TEXT NOT NULL) STRICT;"
#define INDEX(table, name, columns) "CREATE INDEX " table "_" name " ON " table "(" columns ");"

static const char collections_sql[] =
	COLLECTION("rdp_servers", "f_status TEXT, f_user_id TEXT, f_node TEXT, f_name TEXT, f_port INTEGER, f_created_at TEXT, "
				  "f_updated_at TEXT, f_tags TEXT, f_auto_start INTEGER")
	INDEX("rdp_servers", "owner", "f_user_id, f_created_at")
	INDEX("rdp_servers", "created", "f_created_at")

	COLLECTION("rdp_sessions", "f_status TEXT, f_user_id TEXT, f_server_id TEXT, f_node TEXT, f_created_at TEXT, "
				   "f_updated_at TEXT, f_metadata_project TEXT, f_metadata_environment TEXT")
	INDEX("rdp_sessions", "owner", "f_user_id, f_created_at")
	INDEX("rdp_sessions", "status", "f_status")
	INDEX("rdp_sessions", "server", "f_server_id")
	INDEX("rdp_sessions", "node", "f_node")
	INDEX("rdp_sessions", "created", "f_created_at")
	INDEX("rdp_sessions", "project", "f_metadata_project, f_metadata_environment")

	COLLECTION("rdp_ports", "f_node TEXT, f_server_id TEXT, f_port INTEGER")
	INDEX("rdp_ports", "node", "f_node, f_port")
	INDEX("rdp_ports", "server", "f_server_id")

	COLLECTION("rdp_names", "f_server_id TEXT")
	INDEX("rdp_names", "server", "f_server_id")

	COLLECTION("nodes", "f_name TEXT, f_heartbeat_at TEXT")

	COLLECTION("audit_log", "f_time TEXT, f_actor TEXT, f_action TEXT, f_object TEXT, f_outcome TEXT")
	INDEX("audit_log", "time", "f_time")
	INDEX("audit_log", "actor", "f_actor, f_time")
	INDEX("audit_log", "action", "f_action, f_time")
	INDEX("audit_log", "object", "f_object, f_time")

	COLLECTION("idempotency_keys", "f_expires_at INTEGER")
	INDEX("idempotency_keys", "expires", "f_expires_at")

	/* written to find out whether writing works again */
	"CREATE TABLE store_probe(one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;";

static const char leases_sql[] = COLLECTION("leases", "f_holder TEXT");

const struct store_migration store_migrations[] = {
	{ 1, "collections of servers, sessions, ports, names, nodes, audit log and idempotency keys", collections_sql },
	{ 2, "a collection of leases", leases_sql },
};
const size_t store_migrations_n = ARRAY_LEN(store_migrations);
