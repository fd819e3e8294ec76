#include "roles/contract/contract.h"

/* rdp-server-manager: servers, ports, nodes. Bounds are those of the API specification (api.md). Handlers check the bounds that depend
 * on the host or the configuration: cores, memory, the port range. */

#define BASE "/api/v1/rdp"
#define WAIT_DEADLINE_MS 35000 /* ?wait answers within 30 s; the rest is a margin for the response */

static const char *const statuses[] = { "creating", "configuring", "starting", "running",
					"stopping", "stopped",	   "failed",   NULL };
static const char *const policies[] = { "never", "on-failure", "always", NULL };
static const struct shape_field tag_item = { NULL, SH_STRING, .min = 1, .max = 64, .format = "tag" };

/* Fields that an owner may set, at creation and later. */
#define WRITABLE                                                                                                       \
	{ "description", SH_STRING, SH_NULLABLE | SH_MULTILINE, .max = 2000, .otherwise = "\"\"" },                    \
		{ "tags", SH_ARRAY, .max = 32, .item = &tag_item, .otherwise = "[]" },                                 \
		{ "metadata", SH_FREE, .max = 16384, .otherwise = "{}", .help = "any data of the client" },                 \
		{ "display", SH_OBJECT, .sub = &shape_display, .otherwise = "{}" },                                    \
		{ "desktop", SH_OBJECT, .sub = &shape_desktop, .otherwise = "{}" },                                    \
		{ "security", SH_OBJECT, .sub = &shape_security, .otherwise = "{}" },                                  \
		{ "channels", SH_OBJECT, .sub = &shape_channels, .otherwise = "{}" },                                  \
		{ "limits", SH_OBJECT, .sub = &shape_limits, .otherwise = "{}", .help = "absent: no limits" },              \
		{ "restart_policy", SH_STRING, .values = policies, .otherwise = "\"on-failure\"" },                    \
		{ "auto_start", SH_BOOL, .otherwise = "true", .help = "start when created and when the host starts" }, \
		{ "recording", SH_OBJECT, .sub = &shape_recording_mode, .otherwise = "{}" }

/* Fields that only the program sets. */
#define READ_ONLY                                                                                                      \
	{ "server_id", SH_STRING, SH_READ_ONLY, .format = "uuid" },                                                    \
		{ "host", SH_STRING, SH_READ_ONLY, .help = "host name or address that RDP clients connect to" },                                  \
		{ "status", SH_STRING, SH_READ_ONLY, .values = statuses },                                             \
		{ "status_reason", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "why it failed: port_in_use, no_xrdp, …" }, \
		{ "backend", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "process or systemd; null: never started" },       \
		{ "isolation", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "private or shared; null: never started" },      \
		{ "pending_restart", SH_BOOL, SH_READ_ONLY, .help = "a change takes effect at the next restart" },                  \
		{ "version", SH_INT, SH_READ_ONLY, .help = "version of the definition, as in the ETag" },                                               \
		{ "created_at", SH_STRING, SH_READ_ONLY },                                                             \
		{ "updated_at", SH_STRING, SH_READ_ONLY },                                                             \
		{ "started_at", SH_STRING, SH_READ_ONLY | SH_NULLABLE },                                               \
		{ "stopped_at", SH_STRING, SH_READ_ONLY | SH_NULLABLE },                                               \
		{ "sessions", SH_OBJECT, SH_READ_ONLY | SH_LIVE, .sub = &session_counts_shape, .help = "only in lists and in /status" }

static const struct shape_field session_counts[] = {
	{ "active", SH_INT },
	{ "disconnected", SH_INT },
	{ "orphaned", SH_INT },
};
static const struct shape session_counts_shape = SHAPE("ServerSessions", session_counts);

#define NAME_FIELD { "name", SH_STRING, SH_REQUIRED, .min = 1, .max = 64, .format = "name", .help = "unique per owner" }
#define OWNER_FIELD { "user_id", SH_STRING, SH_ADMIN, .min = 1, .max = 128, .format = "user", .help = "the owner" }
#define PORT_FIELD(flags) { "port", SH_INT, flags, .min = 1024, .max = 65535, .help = "RDP port within the port range; absent: a free one is chosen" }
#define NODE_FIELD(flags) { "node", SH_STRING, flags, .min = 1, .max = 64, .format = "node", .help = "host that runs the server; absent: one is chosen" }

static const struct shape_field server[] = { NAME_FIELD, OWNER_FIELD, NODE_FIELD(SH_ADMIN), PORT_FIELD(SH_ADMIN), WRITABLE,
					     READ_ONLY };
static const struct shape_field change[] = { NAME_FIELD, OWNER_FIELD, NODE_FIELD(SH_READ_ONLY), PORT_FIELD(SH_READ_ONLY),
					     WRITABLE, READ_ONLY };
static const struct shape shape_server = SHAPE("Server", server);
static const struct shape shape_create = SHAPE("ServerCreate", server);
static const struct shape shape_change = SHAPE("ServerChange", change);

static const char *const server_sorts[] = { "created_at",  "-created_at", "updated_at", "-updated_at", "name",
					    "-name",	   "status",	  "-status",	"port",	       "-port",
					    "user_id",	   "-user_id",	  "node",	"-node",       NULL };
static const struct shape_field list_query[] = {
	LISTING_FIELDS,
	{ "sort", SH_STRING, .values = server_sorts, .otherwise = "\"-created_at\"", .help = "prefix with '-' for descending order" },
	{ "status", SH_STRING, .values = statuses },
	{ "user_id", SH_STRING, .min = 1, .max = 128, .format = "user" },
	{ "node", SH_STRING, .min = 1, .max = 64, .format = "node" },
	{ "tag", SH_STRING, .min = 1, .max = 64, .format = "tag" },
	{ "q", SH_STRING, .min = 1, .max = 64, .help = "part of the name; case-insensitive" },
	{ "port", SH_INT, .min = 1, .max = 65535 },
};
static const struct shape query_list = SHAPE(NULL, list_query);
static const struct shape_field server_item = { NULL, SH_OBJECT, .sub = &shape_server };
static const struct shape_field host_item = { NULL, SH_STRING };
static const struct shape_field server_list[] = {
	{ "servers", SH_ARRAY, .max = 100, .item = &server_item },
	{ "unreachable", SH_ARRAY, .max = 1000, .item = &host_item, .help = "hosts that did not respond; their sessions are not counted" },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_list = SHAPE("ServerList", server_list);

static const char *const wait_words[] = { "running", NULL };
static const struct shape_field create_query[] = {
	{ "wait", SH_BOOL, .values = wait_words, .otherwise = "false",
	  .help = "respond when it runs or has failed, after 30 s at the latest; wait=running is a deprecated alias of true" },
	{ "labels", SH_STRING, .min = 1, .max = 1024, .format = "labels", .help = "comma-separated labels that the host must have" },
};
static const struct shape query_create = SHAPE(NULL, create_query);
static const struct shape_field change_query[] = {
	{ "restart", SH_BOOL, .otherwise = "false", .help = "restart the server if the change requires it" },
};
static const struct shape query_change = SHAPE(NULL, change_query);
#define WAIT_FIELD { "wait", SH_BOOL, .otherwise = "false", .help = "respond when the operation has finished, after 30 s at the latest" }
#define FORCE_FIELD { "force", SH_BOOL, .otherwise = "false", .help = "also end live desktops" }
static const struct shape_field wait_query[] = { WAIT_FIELD };
static const struct shape query_wait = SHAPE(NULL, wait_query);
static const struct shape_field stop_query[] = { WAIT_FIELD, FORCE_FIELD };
static const struct shape query_stop = SHAPE(NULL, stop_query);
static const struct shape_field delete_query[] = {
	{ "wait", SH_BOOL, .otherwise = "true",
	  .help = "respond 204 when the server is deleted; 202 with its present state if that takes longer than 30 s; false: 202 as soon as the stop has begun" },
	FORCE_FIELD,
};
static const struct shape query_delete = SHAPE(NULL, delete_query);
static const struct shape_field logs_query[] = {
	{ "lines", SH_INT, .min = 1, .max = 5000, .otherwise = "200", .help = "number of newest lines" },
};
static const struct shape query_logs = SHAPE(NULL, logs_query);
static const struct shape_field connect_query[] = {
	{ "username", SH_STRING, .min = 1, .max = 256, .format = "account",
	  .help = "Linux account to log in with; absent: that of user_id, if it is known to be allowed" },
	{ "user_id", SH_STRING, SH_ADMIN, .min = 1, .max = 128, .format = "user", .without = "username",
	  .help = "user whose account is looked up; absent: the caller; only an admin may name another user" },
};
static const struct shape query_connect = SHAPE(NULL, connect_query);

static const struct shape_field status_pids[] = { { "xrdp", SH_INT, SH_NULLABLE }, { "sesman", SH_INT, SH_NULLABLE } };
static const struct shape status_pids_shape = SHAPE("ServerPids", status_pids);
static const char *const status_daemons[] = { "xrdp", "sesman", NULL };
static const struct shape_field status_daemon = { NULL, SH_STRING, .values = status_daemons };
static const struct shape_field status_fields[] = {
	{ "server_id", SH_STRING },
	{ "status", SH_STRING, .values = statuses },
	{ "reason", SH_STRING, SH_NULLABLE },
	{ "pids", SH_OBJECT, .sub = &status_pids_shape },
	{ "since", SH_STRING, SH_NULLABLE },
	{ "restarts", SH_INT },
	{ "pending_restart", SH_BOOL },
	{ "sessions", SH_OBJECT, .sub = &session_counts_shape },
	{ "connections", SH_OBJECT, SH_NULLABLE, .sub = &shape_connection_counts, .help = "RDP connections; null: unknown, or no connection is possible" },
	DISPLAYS_TAKEN_FIELD,
	{ "limits_enforced", SH_FREE, SH_NULLABLE, .help = "which limits the kernel enforces" },
	{ "outdated", SH_ARRAY, .max = 2, .item = &status_daemon,
	  .help = "daemons that run a version other than the installed one; a restart replaces xrdp, a stop and start replaces both" },
	{ "last_exit", SH_FREE, SH_NULLABLE },
	{ "agent", SH_STRING, .help = "available or away; away: the agent does not respond, pids and sessions are unknown" },
};
static const struct shape out_status = SHAPE("ServerState", status_fields);
static const struct shape_field config_fields[] = { { "server_id", SH_STRING },
						    { "xrdp_ini", SH_STRING, SH_MULTILINE },
						    { "sesman_ini", SH_STRING, SH_MULTILINE } };
static const struct shape out_config = SHAPE("ServerConfig", config_fields);
static const struct shape_field log_line = { NULL, SH_STRING };
static const struct shape_field log_fields[] = { { "server_id", SH_STRING }, { "lines", SH_ARRAY, .max = 5000, .item = &log_line },
						 LOG_SOURCES_FIELD };
static const struct shape out_logs = SHAPE("ServerLogs", log_fields);
static const struct shape_field connection_fields[] = {
	{ "server_id", SH_STRING },
	{ "host", SH_STRING },
	{ "port", SH_INT },
	{ "security_layer", SH_STRING },
	{ "min_tls", SH_STRING },
	{ "certificate_fingerprint", SH_STRING, SH_NULLABLE, .help = "SHA-256, hex; null: the server does not run" },
	{ "username", SH_STRING, SH_NULLABLE, .help = "Linux account to log in with: that of ?username, else that of ?user_id, else the caller's; null: no allowed account is known" },
	{ "status", SH_STRING },
};
static const struct shape out_connection = SHAPE("ServerConnection", connection_fields);

static const char *const port_states[] = { "available", "allocated", "reserved", "blocked", NULL };
static const struct shape_field ports_query[] = {
	LISTING_FIELDS,
	{ "status", SH_STRING, .values = port_states },
	{ "node", SH_STRING, .min = 1, .max = 64, .format = "node", .help = "host; absent: the host of the process that answers, if it is one" },
};
static const struct shape query_ports = SHAPE(NULL, ports_query);
static const struct shape_field port_fields[] = {
	{ "port", SH_INT },
	{ "status", SH_STRING, .values = port_states },
	{ "server_id", SH_STRING, SH_NULLABLE },
};
static const struct shape port_shape = SHAPE("Port", port_fields);
static const struct shape_field port_item = { NULL, SH_OBJECT, .sub = &port_shape };
static const struct shape_field range_fields[] = { { "start", SH_INT }, { "end", SH_INT } };
static const struct shape range_shape = SHAPE("PortRange", range_fields);
static const struct shape_field count_fields[] = {
	{ "available", SH_INT }, { "allocated", SH_INT }, { "reserved", SH_INT }, { "blocked", SH_INT }
};
static const struct shape count_shape = SHAPE("PortCounts", count_fields);
static const struct shape_field ports_fields[] = {
	{ "node", SH_STRING },
	{ "range", SH_OBJECT, .sub = &range_shape },
	{ "counts", SH_OBJECT, .sub = &count_shape },
	{ "ports", SH_ARRAY, .max = 100, .item = &port_item },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_ports = SHAPE("PortList", ports_fields);

static const struct shape_field label_item = { NULL, SH_STRING, .min = 1, .max = 64, .format = "label" };
static const struct shape_field capacity_fields[] = { { "cores", SH_INT }, { "memory_mb", SH_INT } };
static const struct shape capacity_shape = SHAPE("NodeCapacity", capacity_fields);
static const struct shape_field alert_metric_item = { NULL, SH_STRING };
static const struct shape_field node_fields[] = {
	{ "node", SH_STRING, SH_READ_ONLY },
	{ "host", SH_STRING, SH_READ_ONLY },
	{ "url", SH_STRING, SH_READ_ONLY | SH_NULLABLE },
	{ "status", SH_STRING, SH_READ_ONLY, .values = (const char *const[]){ "ready", "draining", "unreachable", NULL } },
	{ "draining", SH_BOOL, .help = "true: no new servers are placed here" },
	{ "labels", SH_ARRAY, .max = 32, .item = &label_item },
	{ "capacity", SH_OBJECT, SH_READ_ONLY, .sub = &capacity_shape },
	{ "cpu_percent", SH_INT, SH_READ_ONLY | SH_LIVE },
	{ "memory_percent", SH_INT, SH_READ_ONLY | SH_LIVE },
	{ "servers", SH_INT, SH_READ_ONLY | SH_LIVE },
	{ "alerts", SH_ARRAY, SH_READ_ONLY | SH_LIVE | SH_NULLABLE, .max = 100, .item = &alert_metric_item,
	  .help = "metrics with an open alert; while there is one, no server that starts at once is placed here. null: no rdp-resource-monitor responds" },
	{ "heartbeat_at", SH_STRING, SH_READ_ONLY | SH_LIVE },
	{ "version", SH_INT, SH_READ_ONLY | SH_LIVE, .help = "also incremented by each heartbeat" },
};
static const struct shape shape_node = SHAPE("Node", node_fields);
static const struct shape_field node_item = { NULL, SH_OBJECT, .sub = &shape_node };
static const struct shape_field nodes_fields[] = { { "nodes", SH_ARRAY, .item = &node_item } };
static const struct shape out_nodes = SHAPE("NodeList", nodes_fields);

#define ROW(op_name, op_verb, op_path, ...)                                                                            \
	{                                                                                                              \
		.name = "rdp." op_name, .role = ROLE_SERVERS, .verb = op_verb, .path = BASE op_path, __VA_ARGS__       \
	}
#define USER .scope = OP_USER
#define ADMIN .scope = OP_ADMIN

static const struct op ops[] = {
	ROW("servers.list", "GET", "/servers", USER, .flags = OP_READ | OP_SHORT, .query = &query_list, .out = &out_list,
	    .summary = "List servers"),
	ROW("servers.create", "POST", "/servers", USER, .flags = OP_CREATES | OP_SHORT, .deadline_ms = WAIT_DEADLINE_MS,
	    .status = 201, .query = &query_create, .in = &shape_create, .out = &shape_server, .summary = "Create a server"),
	ROW("servers.get", "GET", "/servers/{server_id}", USER, .flags = OP_READ | OP_SHORT | OP_ROLES, .out = &shape_server,
	    .summary = "Get a server"),
	ROW("servers.put", "PUT", "/servers/{server_id}", USER,
	    .flags = OP_IDEMPOTENT | OP_PATCH_BODY | OP_SHORT | OP_IF_MATCH, .deadline_ms = WAIT_DEADLINE_MS,
	    .query = &query_change, .in = &shape_change, .out = &shape_server, .summary = "Change the given fields of a server"),
	ROW("servers.patch", "PATCH", "/servers/{server_id}", USER,
	    .flags = OP_IDEMPOTENT | OP_PATCH_BODY | OP_SHORT | OP_IF_MATCH, .deadline_ms = WAIT_DEADLINE_MS,
	    .query = &query_change, .in = &shape_change, .out = &shape_server, .summary = "Change the given fields of a server"),
	ROW("servers.delete", "DELETE", "/servers/{server_id}", USER, .flags = OP_IDEMPOTENT | OP_SHORT | OP_IF_MATCH,
	    .deadline_ms = WAIT_DEADLINE_MS, .status = 204, .query = &query_delete, .out = &shape_server,
	    .summary = "Stop and delete a server"),
	ROW("servers.start", "POST", "/servers/{server_id}/start", USER, .flags = OP_IDEMPOTENT | OP_SHORT,
	    .deadline_ms = WAIT_DEADLINE_MS, .status = 202, .query = &query_wait, .out = &shape_server,
	    .summary = "Start a server"),
	ROW("servers.stop", "POST", "/servers/{server_id}/stop", USER, .flags = OP_IDEMPOTENT | OP_SHORT,
	    .deadline_ms = WAIT_DEADLINE_MS, .status = 202, .query = &query_stop, .out = &shape_server,
	    .summary = "Stop a server"),
	ROW("servers.restart", "POST", "/servers/{server_id}/restart", USER, .flags = OP_SHORT,
	    .deadline_ms = WAIT_DEADLINE_MS, .status = 202, .query = &query_wait, .out = &shape_server,
	    .summary = "Restart a server; its desktops stay"),
	ROW("servers.status", "GET", "/servers/{server_id}/status", USER, .flags = OP_READ | OP_SHORT, .out = &out_status,
	    .summary = "Status, processes and sessions of a server"),
	ROW("servers.config", "GET", "/servers/{server_id}/config", USER, .flags = OP_READ | OP_SHORT, .out = &out_config,
	    .summary = "xrdp.ini and sesman.ini of a server"),
	ROW("servers.logs", "GET", "/servers/{server_id}/logs", USER, .flags = OP_READ | OP_SHORT, .query = &query_logs,
	    .out = &out_logs, .summary = "Newest log lines of a server's xrdp and sesman"),
	ROW("servers.log_file", "GET", "/servers/{server_id}/log-file", USER, .flags = OP_READ | OP_SHORT | OP_STREAMS,
	    .query = &shape_log_file, .media = "text/plain", .summary = "Whole log of a server's xrdp or sesman since the last rotation"),
	ROW("servers.connection", "GET", "/servers/{server_id}/connection", USER, .flags = OP_READ | OP_SHORT | OP_ROLES,
	    .query = &query_connect, .out = &out_connection, .summary = "How to connect to a server"),
	ROW("servers.rdp_file", "GET", "/servers/{server_id}/rdp-file", USER, .flags = OP_READ | OP_SHORT | OP_ROLES,
	    .query = &query_connect, .media = "application/x-rdp", .summary = "Download an .rdp file for mstsc, xfreerdp or Remmina"),
	ROW("ports.list", "GET", "/ports", ADMIN, .flags = OP_READ, .query = &query_ports, .out = &out_ports,
	    .summary = "List the ports of the range with their states and servers"),
	ROW("nodes.list", "GET", "/nodes", ADMIN, .flags = OP_READ, .out = &out_nodes, .summary = "List hosts"),
	ROW("nodes.get", "GET", "/nodes/{node}", ADMIN, .flags = OP_READ, .out = &shape_node, .summary = "Get a host"),
	ROW("nodes.put", "PUT", "/nodes/{node}", ADMIN, .flags = OP_IDEMPOTENT | OP_PATCH_BODY | OP_IF_MATCH,
	    .in = &shape_node, .out = &shape_node, .summary = "Change a host: draining, labels"),
};
const struct op_table contract_rdp = { ops, ARRAY_LEN(ops) };
