#include "roles/contract/contract.h"

/* rdp-session-controller: sessions, declared over the API or found on the hosts. */

#define BASE "/api/v1/sessions"

static const char *const statuses[] = { "created", "active", "disconnected", "orphaned", "terminated", "failed", "expired", NULL };
static const char *const sorts[] = { "created_at", "-created_at", "updated_at", "-updated_at", "user_id", "-user_id", "server_id",
				     "-server_id", "node",	  "-node",	"status",     "-status", NULL };

/* Filters of the list. */
#define FILTERS                                                                                                        \
	{ "status", SH_STRING, .values = statuses },                                                                   \
		{ "user_id", SH_STRING, .min = 1, .max = 128, .format = "user" },                                      \
		{ "server_id", SH_STRING, .format = "uuid" },                                                          \
		{ "node", SH_STRING, .min = 1, .max = 64, .format = "node" },                                          \
		{ "project", SH_STRING, .min = 1, .max = 64, .help = "metadata.project" },                             \
		{ "environment", SH_STRING, .min = 1, .max = 64, .help = "metadata.environment" }
static const struct shape_field list_query[] = {
	LISTING_FIELDS,
	{ "sort", SH_STRING, .values = sorts, .otherwise = "\"-created_at\"", .help = "prefix with '-' for descending order" },
	FILTERS,
};
static const struct shape query_list = SHAPE(NULL, list_query);

static const struct shape_field limits[] = {
	{ "idle_timeout", SH_INT, .min = 0, .max = 31536000, .help = "seconds without input after which the session ends; 0: never" },
	{ "max_duration", SH_INT, .min = 0, .max = 31536000, .help = "seconds after its start at which the session ends; 0: never" },
};
static const struct shape shape_session_limits = SHAPE("SessionLimits", limits);
static const struct shape_field tag_item = { NULL, SH_STRING, .min = 1, .max = 64, .format = "tag" };
static const struct shape_field metadata[] = {
	{ "owner", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "user_id" },
	{ "project", SH_STRING, SH_NULLABLE, .min = 1, .max = 64 },
	{ "environment", SH_STRING, SH_NULLABLE, .min = 1, .max = 64 },
	{ "tags", SH_ARRAY, .max = 32, .item = &tag_item },
};
static const struct shape shape_metadata = SHAPE("SessionMetadata", metadata);
static const struct shape_field statistics[] = {
	{ "connections", SH_INT, .help = "how often a client has connected" },
	{ "reconnects", SH_INT },
	{ "connected_ms", SH_INT, .help = "time with a client; in a session document without the time of its present status" },
	{ "disconnected_ms", SH_INT, .help = "time without a client" },
	{ "bytes_in", SH_INT, .help = "bytes received from clients over connections that have been closed" },
	{ "bytes_out", SH_INT },
};
static const struct shape shape_statistics = SHAPE("SessionStatistics", statistics);
static const struct shape_field viewer_item = { NULL, SH_STRING };

static const struct shape_field session[] = {
	{ "session_id", SH_STRING, SH_READ_ONLY, .format = "id", .help = "sess- and 16 hex digits" },
	{ "name", SH_STRING, SH_NULLABLE, .min = 1, .max = 64, .format = "name" },
	{ "description", SH_STRING, SH_NULLABLE | SH_MULTILINE, .max = 2000 },
	{ "user_id", SH_STRING, SH_READ_ONLY | SH_NULLABLE,
	  .help = "owner: who declared it, or the user that RDP_USER_MAP gives to the account, else the owner of the server" },
	{ "server_id", SH_STRING, .format = "uuid" },
	{ "node", SH_STRING, SH_READ_ONLY, .help = "host it runs on" },
	{ "username", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "Linux account; null: nobody has logged in yet" },
	{ "client_address", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "null: no client is connected" },
	{ "connection_id", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "its connection at the agent; null: no client is connected" },
	{ "display", SH_INT, SH_READ_ONLY | SH_NULLABLE },
	{ "status", SH_STRING, SH_READ_ONLY, .values = statuses,
	  .help = "created: declared, nobody has logged in yet; orphaned: the sesman of its desktop is gone, so no client can reconnect; terminated, failed and expired: it has ended" },
	{ "status_reason", SH_STRING, SH_READ_ONLY | SH_NULLABLE,
	  .help = "why it ended: logout, ended, replaced, start_failed, disconnected_timeout, never_used, terminated, …" },
	{ "declared", SH_BOOL, SH_READ_ONLY, .help = "false: found on the host" },
	{ "version", SH_INT, SH_READ_ONLY },
	{ "created_at", SH_STRING, SH_READ_ONLY },
	{ "updated_at", SH_STRING, SH_READ_ONLY },
	{ "status_since", SH_STRING, SH_READ_ONLY, .help = "when the present status began" },
	{ "started_at", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "start of its desktop" },
	{ "stopped_at", SH_STRING, SH_READ_ONLY | SH_NULLABLE },
	{ "ended_by", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "user who ended it over the API" },
	{ "rdp_config", SH_FREE, SH_READ_ONLY | SH_NULLABLE },
	{ "recording_config", SH_FREE, SH_NULLABLE },
	{ "storage_config", SH_FREE, SH_NULLABLE },
	{ "limits", SH_OBJECT, SH_NULLABLE, .sub = &shape_session_limits },
	{ "metadata", SH_OBJECT, .sub = &shape_metadata },
	{ "statistics", SH_OBJECT, SH_READ_ONLY, .sub = &shape_statistics },
	{ "visible_to", SH_ARRAY, SH_READ_ONLY, .max = 2, .item = &viewer_item,
	  .help = "users who see it besides admins: its own, and the owner of its server" },
};
static const struct shape shape_session = SHAPE("Session", session);
static const struct shape_field session_item = { NULL, SH_OBJECT, .sub = &shape_session };
static const struct shape_field node_item = { NULL, SH_STRING };
static const struct shape_field list_fields[] = {
	{ "sessions", SH_ARRAY, .max = 100, .item = &session_item },
	{ "unreachable", SH_ARRAY, .max = 1000, .item = &node_item,
	  .help = "hosts that do not respond; their sessions are listed as they were last seen" },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_list = SHAPE("SessionList", list_fields);

#define ROW(op_name, op_verb, op_path, ...)                                                                            \
	{                                                                                                              \
		.name = "sessions." op_name, .role = ROLE_SESSIONS, .verb = op_verb, .path = BASE op_path, .scope = OP_USER, __VA_ARGS__ \
	}

static const struct op ops[] = {
	ROW("list", "GET", "", .flags = OP_READ | OP_ROLES, .query = &query_list, .out = &out_list, .summary = "List sessions"),
	ROW("get", "GET", "/{session_id}", .flags = OP_READ | OP_ROLES, .out = &shape_session, .summary = "Get a session"),
};
const struct op_table contract_sessions = { ops, ARRAY_LEN(ops) };
