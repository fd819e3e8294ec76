#include "roles/contract/contract.h"

/* rdp-session-controller: sessions, declared over the API or found on the hosts. */

#define BASE "/api/v1/sessions"
#define MANY_DEADLINE_MS 60000
#define MESSAGE_DEADLINE_MS 20000 /* longer than that of the agent, which knows more about the outcome */

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
	LISTING_FORMAT_FIELD,
	FILTERS,
};
static const struct shape query_list = SHAPE(NULL, list_query);

static const struct shape_field limits[] = {
	{ "idle_timeout", SH_INT, .min = 0, .max = 31536000, .help = "seconds without input, while a client is connected, after which the session ends; 0: never" },
	{ "max_duration", SH_INT, .min = 0, .max = 31536000, .help = "seconds after its start at which the session ends; 0: never" },
};
static const struct shape shape_session_limits = SHAPE("SessionLimits", limits);
static const struct shape_field tag_item = { NULL, SH_STRING, .min = 1, .max = 64, .format = "tag" };
static const struct shape_field metadata[] = {
	{ "owner", SH_STRING, SH_NULLABLE, .max = 128, .help = "always the same as user_id" },
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

static const char *const sources[] = { "x11", NULL };
static const char *const qualities[] = { "high", "medium", "low", NULL };
static const char *const compressions[] = { "zstd", "lz4", "none", NULL };
static const char *const losses[] = { "alert", "terminate_session", NULL };
static const char *const fulls[] = { "pause", "terminate_session", NULL };
static const struct shape_field recording_config[] = {
	{ "enabled", SH_BOOL, .help = "record the session without a request, from the moment it has a desktop" },
	{ "source", SH_STRING, .values = sources, .help = "x11; a recording over rdp is not available yet" },
	{ "frame_rate", SH_INT, .min = 1, .max = 60, .help = "upper bound, in frames per second" },
	{ "resolution", SH_STRING, .min = 7, .max = 9, .format = "id", .help = "WIDTHxHEIGHT, such as 1920x1080" },
	{ "quality", SH_STRING, .values = qualities },
	{ "compression", SH_STRING, .values = compressions },
	{ "max_mb_per_min", SH_INT, .min = 1, .max = 100000 },
	{ "on_loss", SH_STRING, .values = losses },
	{ "on_full", SH_STRING, .values = fulls },
	{ "takeover", SH_BOOL },
};
static const struct shape shape_recording_config = SHAPE("RecordingConfig", recording_config);
static const struct shape_field storage_config[] = {
	{ "retention_days", SH_INT, .min = 1, .max = 36500 },
	{ "max_bytes", SH_INT, .min = 1, .max = 9007199254740991 },
	{ "hold", SH_BOOL, SH_ADMIN, .help = "exempt from retention" },
};
static const struct shape shape_storage_config = SHAPE("StorageConfig", storage_config);

/* Fields that an owner may set, at creation and later. */
#define WRITABLE                                                                                                       \
	{ "name", SH_STRING, SH_NULLABLE, .min = 1, .max = 64, .format = "name" },                                     \
		{ "description", SH_STRING, SH_NULLABLE | SH_MULTILINE, .max = 2000 },                                 \
		{ "recording_config", SH_OBJECT, SH_NULLABLE, .sub = &shape_recording_config },                        \
		{ "storage_config", SH_OBJECT, SH_NULLABLE, .sub = &shape_storage_config },                            \
		{ "limits", SH_OBJECT, SH_NULLABLE, .sub = &shape_session_limits },                                    \
		{ "metadata", SH_OBJECT, .sub = &shape_metadata }

/* Fields that only the program sets. */
#define READ_ONLY                                                                                                      \
	{ "session_id", SH_STRING, SH_READ_ONLY, .format = "id", .help = "sess- and 16 hex digits" },                  \
		{ "node", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "host it runs on; null: a foreign RDP host" },  \
		{ "username", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "Linux account; null: nobody has logged in yet" }, \
		{ "client_address", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "null: no client is connected" },   \
		{ "connection_id", SH_STRING, SH_READ_ONLY | SH_NULLABLE,                                              \
		  .help = "its connection at the agent; null: no client is connected" },                               \
		{ "display", SH_INT, SH_READ_ONLY | SH_NULLABLE },                                                     \
		{ "status", SH_STRING, SH_READ_ONLY, .values = statuses,                                               \
		  .help = "created: declared, nobody has logged in yet, or on a foreign RDP host; orphaned: the sesman of its desktop is gone, so no client can reconnect; terminated, failed and expired: it has ended" }, \
		{ "status_reason", SH_STRING, SH_READ_ONLY | SH_NULLABLE,                                              \
		  .help = "why it ended: logout, ended, replaced, start_failed, idle_timeout, max_duration, disconnected_timeout, never_used, node_removed, or what was given to terminate; node_unreachable: its host cannot be reached, and it is shown as it was last seen" }, \
		{ "declared", SH_BOOL, SH_READ_ONLY, .help = "false: found on the host" },                             \
		{ "version", SH_INT, SH_READ_ONLY },                                                                   \
		{ "created_at", SH_STRING, SH_READ_ONLY },                                                             \
		{ "updated_at", SH_STRING, SH_READ_ONLY },                                                             \
		{ "status_since", SH_STRING, SH_READ_ONLY, .help = "when the present status began" },                  \
		{ "started_at", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "start of its desktop" },               \
		{ "stopped_at", SH_STRING, SH_READ_ONLY | SH_NULLABLE },                                               \
		{ "ended_by", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "user who ended it over the API" },       \
		{ "statistics", SH_OBJECT, SH_READ_ONLY, .sub = &shape_statistics },                                   \
		{ "visible_to", SH_ARRAY, SH_READ_ONLY, .max = 2, .item = &viewer_item,                                \
		  .help = "users who see it besides admins: its own, and the owner of its server" }

#define OWNER_FIELD(flags)                                                                                             \
	{ "user_id", SH_STRING, (flags) | SH_NULLABLE, .min = 1, .max = 128, .format = "user",                         \
	  .help = "owner: who declared it, or the user that RDP_USER_MAP gives to the account, else the owner of the server" }
#define SERVER_FIELD(flags)                                                                                            \
	{ "server_id", SH_STRING, (flags) | SH_NULLABLE, .format = "uuid",                                             \
	  .help = "the server that it is on; null: it is on a foreign RDP host (rdp_config)" }

/* An RDP host outside this installation. It does not change, so that a stored password is never for another host than the one it was given for. */
#define RDP_HOST_FIELDS(host_flags, port_flags)                                                                        \
	{ "host", SH_STRING, host_flags, .min = 1, .max = 253, .help = "host name, or IPv4 or IPv6 address" },         \
		{ "port", SH_INT, port_flags, .min = 1, .max = 65535, .help = "default: 3389" }
#define RDP_USER_FIELDS                                                                                                \
	{ "username", SH_STRING, SH_NULLABLE, .min = 1, .max = 256, .format = "account",                               \
	  .help = "account on that host, as its directory writes it; a domain may be part of it" },                                          \
		{ "domain", SH_STRING, SH_NULLABLE, .min = 1, .max = 256, .format = "domain" }
#define PASSWORD_FIELD                                                                                                 \
	{ "password", SH_STRING, SH_NULLABLE | SH_SECRET, .min = 1, .max = 256, .format = "password",                  \
	  .help = "at most 256 bytes; stored encrypted with MASTER_KEY until the session ends; null removes it" }
#define HAS_PASSWORD_FIELD                                                                                             \
	{ "has_password", SH_BOOL, SH_READ_ONLY, .help = "a password is stored; no response shows it" }
static const struct shape_field rdp_config[] = { RDP_HOST_FIELDS(0, 0), RDP_USER_FIELDS, HAS_PASSWORD_FIELD };
static const struct shape shape_rdp_config = SHAPE("SessionRdpConfig", rdp_config);
static const struct shape_field rdp_config_create[] = { RDP_HOST_FIELDS(SH_REQUIRED, 0), RDP_USER_FIELDS, PASSWORD_FIELD };
static const struct shape shape_rdp_config_create = SHAPE("SessionRdpConfigCreate", rdp_config_create);
static const struct shape_field rdp_config_change[] = { RDP_HOST_FIELDS(SH_READ_ONLY, SH_READ_ONLY), RDP_USER_FIELDS, PASSWORD_FIELD,
							HAS_PASSWORD_FIELD };
static const struct shape shape_rdp_config_change = SHAPE("SessionRdpConfigChange", rdp_config_change);
#define RDP_CONFIG_FIELD(shape)                                                                                        \
	{ "rdp_config", SH_OBJECT, SH_NULLABLE, .sub = &(shape),                                                       \
	  .help = "an RDP host outside this installation, which RDP_TARGETS_ALLOWED must contain; null: the session is on a server" }

static const struct shape_field session[] = { SERVER_FIELD(0), OWNER_FIELD(SH_ADMIN), WRITABLE, RDP_CONFIG_FIELD(shape_rdp_config), READ_ONLY };
static const struct shape_field create[] = { SERVER_FIELD(0), OWNER_FIELD(SH_ADMIN), WRITABLE, RDP_CONFIG_FIELD(shape_rdp_config_create), READ_ONLY };
static const struct shape_field change[] = { SERVER_FIELD(SH_READ_ONLY), OWNER_FIELD(SH_READ_ONLY), WRITABLE,
					     RDP_CONFIG_FIELD(shape_rdp_config_change), READ_ONLY };
static const struct shape shape_create = SHAPE("SessionCreate", create);
static const struct shape shape_change = SHAPE("SessionChange", change);
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

static const char *const modes[] = { "end", "disconnect", NULL };
static const struct shape_field terminate_query[] = {
	{ "mode", SH_STRING, .values = modes, .otherwise = "\"end\"", .help = "disconnect: cut the connection only; the desktop stays" },
};
static const struct shape query_terminate = SHAPE(NULL, terminate_query);
static const struct shape_field terminate_body[] = {
	{ "reason", SH_STRING, .min = 1, .max = 200, .format = "name", .help = "becomes status_reason; absent: terminated" },
};
static const struct shape in_terminate = SHAPE("SessionTerminate", terminate_body);
static const struct shape_field cut_item = { NULL, SH_OBJECT, .sub = &shape_connection };
static const struct shape_field ended_fields[] = {
	{ "session_id", SH_STRING },
	{ "status", SH_STRING, .values = statuses },
	{ "ended", SH_OBJECT, SH_NULLABLE, .sub = &shape_desktop_session, .help = "its desktop; null: the desktop stays, or nobody had logged in" },
	{ "processes", SH_INT, .help = "number of its processes that were ended" },
	{ "forced", SH_INT, .help = "number of them that had to be killed" },
	{ "cut", SH_ARRAY, .max = 64, .item = &cut_item, .help = "connections that were cut" },
};
static const struct shape out_ended = SHAPE("SessionEnded", ended_fields);
static const struct shape_field many_query[] = {
	{ "dry_run", SH_BOOL, .otherwise = "false", .help = "list what would be ended, and end nothing" },
	FILTERS,
};
static const struct shape query_many = SHAPE(NULL, many_query);
static const char *const outcomes[] = { "ended", "would_end", "already_ended", "uncertain", "failed", NULL };
static const struct shape_field many_result[] = {
	{ "session_id", SH_STRING },
	{ "user_id", SH_STRING, SH_NULLABLE },
	{ "server_id", SH_STRING, SH_NULLABLE, .help = "null: on a foreign RDP host" },
	{ "status", SH_STRING, .values = statuses, .help = "before the end" },
	{ "outcome", SH_STRING, .values = outcomes },
	{ "message", SH_STRING, SH_NULLABLE, .max = 2000, .help = "why it could not be ended, and what to do" },
};
static const struct shape shape_many_result = SHAPE("SessionOutcome", many_result);
static const struct shape_field many_item = { NULL, SH_OBJECT, .sub = &shape_many_result };
static const struct shape_field many_fields[] = {
	{ "dry_run", SH_BOOL },
	{ "matched", SH_INT },
	{ "ended", SH_INT },
	{ "results", SH_ARRAY, .max = 1000, .item = &many_item, .help = "at most 1000; repeat the request while `matched` is 1000" },
};
static const struct shape out_many = SHAPE("SessionsEnded", many_fields);

static const struct shape_field message_body[] = { MESSAGE_FIELDS };
static const struct shape in_message = SHAPE("SessionMessage", message_body);
static const struct shape_field message_shown[] = {
	{ "session_id", SH_STRING },
	{ "display", SH_INT },
	{ "shown_at", SH_STRING, .help = "when its window was mapped" },
	{ "closes_at", SH_STRING, .help = "when the window closes, if the user does not close it before" },
	{ "missing_characters", SH_INT, .help = "number of characters for which the host has no font" },
};
static const struct shape out_message = SHAPE("SessionMessageShown", message_shown);
static const struct shape_field broadcast_query[] = {
	{ "dry_run", SH_BOOL, .otherwise = "false", .help = "list who would get the message, and show nothing" },
	FILTERS,
};
static const struct shape query_broadcast = SHAPE(NULL, broadcast_query);
static const char *const broadcast_outcomes[] = { "shown", "would_show", "no_desktop", "rate_limited", "uncertain", "failed", NULL };
static const struct shape_field broadcast_result[] = {
	{ "session_id", SH_STRING },
	{ "user_id", SH_STRING, SH_NULLABLE },
	{ "server_id", SH_STRING, SH_NULLABLE, .help = "null: on a foreign RDP host" },
	{ "status", SH_STRING, .values = statuses },
	{ "outcome", SH_STRING, .values = broadcast_outcomes,
	  .help = "no_desktop: nobody has logged in yet, or the session has ended; uncertain: the message may have been shown" },
	{ "message", SH_STRING, SH_NULLABLE, .max = 2000, .help = "why it was not shown, and what to do" },
};
static const struct shape shape_broadcast_result = SHAPE("SessionMessageOutcome", broadcast_result);
static const struct shape_field broadcast_item = { NULL, SH_OBJECT, .sub = &shape_broadcast_result };
static const struct shape_field broadcast_fields[] = {
	{ "dry_run", SH_BOOL },
	{ "matched", SH_INT },
	{ "shown", SH_INT },
	{ "results", SH_ARRAY, .max = 1000, .item = &broadcast_item, .help = "at most 1000, the newest; use filters to reach the others" },
};
static const struct shape out_broadcast = SHAPE("SessionsMessaged", broadcast_fields);

static const struct shape_field connection_fields[] = {
	{ "session_id", SH_STRING },
	{ "server_id", SH_STRING, SH_NULLABLE, .help = "null: a foreign RDP host, of which the other members that may be null are not known" },
	{ "host", SH_STRING },
	{ "port", SH_INT },
	{ "security_layer", SH_STRING, SH_NULLABLE },
	{ "min_tls", SH_STRING, SH_NULLABLE },
	{ "certificate_fingerprint", SH_STRING, SH_NULLABLE, .help = "SHA-256, hex; null: the server does not run" },
	{ "username", SH_STRING, SH_NULLABLE, .help = "account to log in with; null: no allowed account is known" },
	{ "domain", SH_STRING, SH_NULLABLE, .help = "domain of the account, on a foreign RDP host" },
	{ "status", SH_STRING, .values = statuses },
	{ "server_status", SH_STRING, SH_NULLABLE },
};
static const struct shape out_connection = SHAPE("SessionConnection", connection_fields);
static const struct shape_field figure_fields[] = {
	{ "session_id", SH_STRING },
	{ "status", SH_STRING, .values = statuses },
	{ "status_since", SH_STRING },
	{ "started_at", SH_STRING, SH_NULLABLE },
	{ "stopped_at", SH_STRING, SH_NULLABLE },
	{ "connections", SH_INT },
	{ "reconnects", SH_INT },
	{ "connected_ms", SH_INT, .help = "with the time of the present status" },
	{ "disconnected_ms", SH_INT },
	{ "total_ms", SH_INT },
	{ "idle_seconds", SH_INT, SH_NULLABLE, .help = "seconds since the last input; null: unknown" },
	{ "bytes_in", SH_INT, .help = "with those of its open connections" },
	{ "bytes_out", SH_INT },
	{ "latency_ms", SH_NUMBER, SH_NULLABLE, .help = "round-trip time to the client, as the kernel's TCP has measured it; null: not connected, or unknown" },
	{ "agent", SH_STRING, .help = "available or away; away: idle time and open connections are missing" },
};
static const struct shape out_figures = SHAPE("SessionFigures", figure_fields);
static const struct shape_field entry_fields[] = {
	{ "time", SH_STRING },
	{ "event", SH_STRING, .help = "created, found, started, disconnected, reconnected, orphaned, updated, unreachable, reachable, message (reason: its level), terminated, failed, expired" },
	{ "status", SH_STRING, .values = statuses, .help = "after it" },
	{ "reason", SH_STRING, SH_NULLABLE },
	{ "by", SH_STRING, SH_NULLABLE, .help = "user who did it; null: it happened" },
	{ "client_address", SH_STRING, SH_NULLABLE },
	{ "username", SH_STRING, SH_NULLABLE },
	{ "display", SH_INT, SH_NULLABLE },
};
static const struct shape shape_entry = SHAPE("SessionEvent", entry_fields);
static const struct shape_field entry_item = { NULL, SH_OBJECT, .sub = &shape_entry };
static const struct shape_field timeline_fields[] = {
	{ "session_id", SH_STRING },
	{ "events", SH_ARRAY, .max = 1000, .item = &entry_item, .help = "in the order in which they happened; at most the first 1000" },
};
static const struct shape out_timeline = SHAPE("SessionTimeline", timeline_fields);

static const struct shape_field status_counts[] = {
	{ "created", SH_INT }, { "active", SH_INT }, { "disconnected", SH_INT }, { "orphaned", SH_INT },
	{ "terminated", SH_INT }, { "failed", SH_INT }, { "expired", SH_INT },
};
static const struct shape shape_status_counts = SHAPE("SessionStatusCounts", status_counts);
static const struct shape_field server_count[] = { { "server_id", SH_STRING, SH_NULLABLE, .help = "null: on foreign RDP hosts" },
						   { "sessions", SH_INT } };
static const struct shape shape_server_count = SHAPE("SessionsOfServer", server_count);
static const struct shape_field server_count_item = { NULL, SH_OBJECT, .sub = &shape_server_count };
static const struct shape_field user_count[] = { { "user_id", SH_STRING, .help = "empty: of no known user" }, { "sessions", SH_INT } };
static const struct shape shape_user_count = SHAPE("SessionsOfUser", user_count);
static const struct shape_field user_count_item = { NULL, SH_OBJECT, .sub = &shape_user_count };
static const struct shape_field summary_fields[] = {
	{ "live", SH_INT, .help = "sessions that have not ended" },
	{ "by_status", SH_OBJECT, .sub = &shape_status_counts, .help = "with those of the history" },
	{ "by_server", SH_ARRAY, .max = 1000, .item = &server_count_item, .help = "sessions that have not ended" },
	{ "by_user", SH_ARRAY, .max = 1000, .item = &user_count_item, .help = "sessions that have not ended" },
};
static const struct shape out_summary = SHAPE("SessionSummary", summary_fields);

#define SCOPED(op_scope, op_name, op_verb, op_path, ...)                                                               \
	{                                                                                                              \
		.name = "sessions." op_name, .role = ROLE_SESSIONS, .verb = op_verb, .path = BASE op_path, .scope = op_scope, __VA_ARGS__ \
	}
#define ROW(...) SCOPED(OP_USER, __VA_ARGS__)
#define ADMIN_ROW(...) SCOPED(OP_ADMIN, __VA_ARGS__)

static const struct op ops[] = {
	ROW("list", "GET", "", .flags = OP_READ | OP_STREAMS, .query = &query_list, .out = &out_list, .media = "text/csv", .summary = "List sessions"),
	ROW("create", "POST", "", .rate = RATE_SESSION_CREATE, .flags = OP_CREATES, .status = 201, .in = &shape_create, .out = &shape_session,
	    .summary = "Declare a session on a server, whose next login of its user is joined with it, or on a foreign RDP host"),
	ROW("summary", "GET", "/summary", .flags = OP_READ, .out = &out_summary, .summary = "Count sessions by status, server and user"),
	ROW("terminate_many", "POST", "/terminate", .deadline_ms = MANY_DEADLINE_MS, .query = &query_many, .in = &in_terminate, .out = &out_many,
	    .summary = "End all sessions that match"),
	ADMIN_ROW("broadcast", "POST", "/broadcast", .rate = RATE_SESSION_MESSAGE, .deadline_ms = MANY_DEADLINE_MS, .query = &query_broadcast,
	    .in = &in_message, .out = &out_broadcast, .summary = "Show a message on the desktops of all sessions that match"),
	ROW("get", "GET", "/{session_id}", .flags = OP_READ, .out = &shape_session, .summary = "Get a session"),
	ROW("put", "PUT", "/{session_id}", .flags = OP_IDEMPOTENT | OP_PATCH_BODY | OP_IF_MATCH, .in = &shape_change, .out = &shape_session,
	    .summary = "Change the given fields of a session"),
	ROW("patch", "PATCH", "/{session_id}", .flags = OP_IDEMPOTENT | OP_PATCH_BODY | OP_IF_MATCH, .in = &shape_change, .out = &shape_session,
	    .summary = "Change the given fields of a session"),
	ROW("delete", "DELETE", "/{session_id}", .flags = OP_IDEMPOTENT | OP_IF_MATCH, .status = 204,
	    .summary = "End a session and delete the record of it"),
	ROW("terminate", "POST", "/{session_id}/terminate", .query = &query_terminate, .in = &in_terminate, .out = &out_ended,
	    .summary = "End a session with its desktop, or cut its connection"),
	ROW("message", "POST", "/{session_id}/message", .rate = RATE_SESSION_MESSAGE, .deadline_ms = MESSAGE_DEADLINE_MS, .in = &in_message, .out = &out_message,
	    .summary = "Show a message in a window on the desktop of a session"),
	ROW("connection", "GET", "/{session_id}/connection", .flags = OP_READ | OP_MAY_CONFLICT, .out = &out_connection, .summary = "How to connect to a session"),
	ROW("rdp_file", "GET", "/{session_id}/rdp-file", .flags = OP_READ | OP_MAY_CONFLICT, .media = "application/x-rdp",
	    .summary = "Download an .rdp file for the session"),
	ROW("statistics", "GET", "/{session_id}/statistics", .flags = OP_READ, .out = &out_figures, .summary = "Times, connections and bytes of a session"),
	ROW("timeline", "GET", "/{session_id}/timeline", .flags = OP_READ, .out = &out_timeline, .summary = "What happened to a session, in order"),
};
const struct op_table contract_sessions = { ops, ARRAY_LEN(ops) };
