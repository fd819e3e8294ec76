#include "roles/contract/contract.h"

/* rdp-session-controller: sessions. So far these are the live desktops that the agents of the hosts report. */

#define BASE "/api/v1/sessions"

static const char *const statuses[] = { "active", "disconnected", "orphaned", NULL };
static const char *const sorts[] = { "started_at", "-started_at", "username", "-username", "user_id", "-user_id",   "server_id",
				     "-server_id", "node",	  "-node",    "status",	   "-status", "display", "-display",
				     NULL };
static const struct shape_field list_query[] = {
	LISTING_FIELDS,
	{ "sort", SH_STRING, .values = sorts, .otherwise = "\"-started_at\"", .help = "prefix with '-' for descending order" },
	{ "status", SH_STRING, .values = statuses },
	{ "user_id", SH_STRING, .min = 1, .max = 128, .format = "user" },
	{ "server_id", SH_STRING, .format = "uuid" },
	{ "node", SH_STRING, .min = 1, .max = 64, .format = "node" },
};
static const struct shape query_list = SHAPE(NULL, list_query);
static const struct shape_field session[] = {
	{ "user_id", SH_STRING, SH_NULLABLE, .help = "owner: the user that RDP_USER_MAP maps to the account, else the owner of the server" },
	{ "server_id", SH_STRING },
	{ "node", SH_STRING, .help = "host it runs on" },
	{ "username", SH_STRING, .help = "Linux account" },
	{ "client_address", SH_STRING, SH_NULLABLE, .help = "null: no client is connected" },
	{ "display", SH_INT },
	{ "status", SH_STRING, .values = statuses, .help = "orphaned: the sesman that started it is gone, so no client can reconnect" },
	{ "started_at", SH_STRING },
};
static const struct shape shape_session = SHAPE("Session", session);
static const struct shape_field session_item = { NULL, SH_OBJECT, .sub = &shape_session };
static const struct shape_field node_item = { NULL, SH_STRING };
static const struct shape_field list_fields[] = {
	{ "sessions", SH_ARRAY, .max = 100, .item = &session_item },
	{ "unreachable", SH_ARRAY, .max = 1000, .item = &node_item, .help = "hosts that did not respond; their sessions are missing" },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_list = SHAPE("SessionList", list_fields);

static const struct op ops[] = {
	{ .name = "sessions.list", .role = ROLE_SESSIONS, .verb = "GET", .path = BASE, .scope = OP_USER, .flags = OP_READ,
	  .query = &query_list, .out = &out_list, .summary = "List live desktops on all servers and hosts" },
};
const struct op_table contract_sessions = { ops, ARRAY_LEN(ops) };
