#include "roles/contract/contract.h"

/* rdp-session-controller: sessions. As yet the desktops that live, as the agents of the hosts see them. */

#define BASE "/api/v1/sessions"

static const char *const statuses[] = { "active", "disconnected", "orphaned", NULL };
static const char *const sorts[] = { "started_at", "-started_at", "username", "-username", "user_id", "-user_id",   "server_id",
				     "-server_id", "node",	  "-node",    "status",	   "-status", "display", "-display",
				     NULL };
static const struct shape_field list_query[] = {
	{ "page", SH_INT, .min = 1, .max = 1000000, .help = "page, from 1; not together with offset" },
	{ "limit", SH_INT, .min = 1, .max = 100, .otherwise = "20", .help = "items on a page" },
	{ "offset", SH_INT, .min = 0, .max = 100000000, .help = "items to pass over; not together with page" },
	{ "sort", SH_STRING, .values = sorts, .otherwise = "\"-started_at\"", .help = "'-' turns it round" },
	{ "status", SH_STRING, .values = statuses },
	{ "user_id", SH_STRING, .min = 1, .max = 128, .format = "user" },
	{ "server_id", SH_STRING, .format = "uuid" },
	{ "node", SH_STRING, .min = 1, .max = 64, .format = "node" },
};
static const struct shape query_list = SHAPE(NULL, list_query);
static const struct shape_field session[] = {
	{ "user_id", SH_STRING, SH_NULLABLE, .help = "whose it is: the account's user by RDP_USER_MAP, else the server's owner" },
	{ "server_id", SH_STRING },
	{ "node", SH_STRING, .help = "the host it runs on" },
	{ "username", SH_STRING, .help = "Linux account" },
	{ "client_address", SH_STRING, SH_NULLABLE, .help = "null: no client shows it" },
	{ "display", SH_INT },
	{ "status", SH_STRING, .values = statuses, .help = "orphaned: its sesman is another by now; it cannot be reached" },
	{ "started_at", SH_STRING },
};
static const struct shape shape_session = SHAPE("Session", session);
static const struct shape_field session_item = { NULL, SH_OBJECT, .sub = &shape_session };
static const struct shape_field node_item = { NULL, SH_STRING };
static const struct shape_field list_fields[] = {
	{ "sessions", SH_ARRAY, .max = 100, .item = &session_item },
	{ "unreachable", SH_ARRAY, .max = 1000, .item = &node_item, .help = "hosts that did not answer: theirs are missing" },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_list = SHAPE("SessionList", list_fields);

static const struct op ops[] = {
	{ .name = "sessions.list", .role = ROLE_SESSIONS, .verb = "GET", .path = BASE, .scope = OP_USER, .flags = OP_READ,
	  .query = &query_list, .out = &out_list, .summary = "Desktops that live, over all servers of all hosts" },
};
const struct op_table contract_sessions = { ops, ARRAY_LEN(ops) };
