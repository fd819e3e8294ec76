#include "roles/contract/contract.h"

/* rdp-resource-monitor: resource usage now, and in the past. */

#define BASE "/api/v1/resources"

/* --- usage now */

#define RATE_HELP " since the sample before (METRICS_INTERVAL); null: not known yet"
#define RATE_FIELDS                                                                                                    \
	{ "cpu_percent", SH_NUMBER, SH_NULLABLE, .help = "CPU usage in percent of all cores of the host," RATE_HELP },  \
		{ "cpu_core_percent", SH_NUMBER, SH_NULLABLE, .help = "the same in percent of one core" },             \
		{ "memory_percent", SH_NUMBER, SH_NULLABLE, .help = "of the server's limit, or of the host's memory if it has none" }, \
		{ "net_in_kbps", SH_NUMBER, SH_NULLABLE, .help = "received, in 1,000 bits a second," RATE_HELP },       \
		{ "net_out_kbps", SH_NUMBER, SH_NULLABLE },                                                            \
		{ "io_read_bps", SH_INT, SH_NULLABLE, .help = "bytes read from block devices a second," RATE_HELP },    \
		{ "io_write_bps", SH_INT, SH_NULLABLE }
#define SAMPLED_FIELD { "sampled_at", SH_STRING, SH_NULLABLE, .help = "when the rates were measured; null: no rates" }

static const struct shape_field disk[] = { { "total_bytes", SH_INT }, { "used_bytes", SH_INT }, { "free_bytes", SH_INT } };
static const struct shape disk_shape = SHAPE("DiskUsage", disk);
static const struct shape_field disks[] = {
	{ "data", SH_OBJECT, .sub = &disk_shape, .help = "file system of DATA_DIR" },
	{ "log", SH_OBJECT, .sub = &disk_shape, .help = "file system of LOG_DIR" },
	{ "runtime", SH_OBJECT, .sub = &disk_shape, .help = "file system of RUNTIME_DIR" },
};
static const struct shape disks_shape = SHAPE("DisksUsage", disks);
static const struct shape_field network[] = {
	{ "bytes_in", SH_INT, .help = "bytes received since the host started, on its physical interfaces" }, { "bytes_out", SH_INT }
};
static const struct shape network_shape = SHAPE("NetworkUsage", network);
static const struct shape_field load_item = { NULL, SH_NUMBER };
static const struct shape_field node[] = {
	{ "node", SH_STRING },
	{ "cores", SH_INT },
	{ "cpu_percent", SH_NUMBER, SH_NULLABLE, .help = "CPU usage of all cores together, in percent; null: not measured yet" },
	{ "cpu_usec", SH_INT, .help = "CPU time of all cores since the host started, in microseconds" },
	{ "load", SH_ARRAY, .max = 3, .item = &load_item, .help = "load averages over 1, 5 and 15 minutes" },
	{ "pressure", SH_OBJECT, .sub = &shape_pressure },
	{ "memory_total_bytes", SH_INT },
	{ "memory_available_bytes", SH_INT },
	{ "memory_used_bytes", SH_INT },
	{ "memory_percent", SH_NUMBER, SH_NULLABLE },
	{ "disk", SH_OBJECT, .sub = &disk_shape, .help = "file system of DATA_DIR; the same as disks.data" },
	{ "disks", SH_OBJECT, .sub = &disks_shape },
	{ "network", SH_OBJECT, SH_NULLABLE, .sub = &network_shape },
	{ "net_in_kbps", SH_NUMBER, SH_NULLABLE, .help = "received, in 1,000 bits a second," RATE_HELP },
	{ "net_out_kbps", SH_NUMBER, SH_NULLABLE },
	{ "temperature_celsius", SH_NUMBER, SH_NULLABLE, .help = "of the hottest thermal zone; null: the host shows none" },
	{ "throttled", SH_BOOL, SH_NULLABLE, .help = "the processor runs slower because of heat or low voltage; null: the host does not tell" },
	{ "throttle_events", SH_INT, SH_NULLABLE, .help = "times that a core was throttled since the host started; null: not counted" },
	{ "uptime_seconds", SH_INT },
	{ "servers", SH_INT, .help = "number of servers with an instance on this host" },
	SAMPLED_FIELD,
};
static const struct shape shape_node = SHAPE("NodeUsage", node);

#define DESKTOP_USAGE_FIELDS                                                                                           \
	{ "display", SH_INT }, { "username", SH_STRING, SH_NULLABLE }, { "started_at", SH_STRING, SH_NULLABLE }, GROUP_USAGE_FIELDS, \
		{ "bytes_in", SH_INT, .help = "bytes received on its present connections" }, { "bytes_out", SH_INT }, RATE_FIELDS, SAMPLED_FIELD
static const struct shape_field desktop[] = {
	DESKTOP_USAGE_FIELDS,
};
static const struct shape shape_desktop_usage = SHAPE("DesktopUsage", desktop);
static const struct shape_field session_usage[] = {
	{ "session_id", SH_STRING },
	{ "user_id", SH_STRING, SH_NULLABLE },
	{ "server_id", SH_STRING },
	{ "node", SH_STRING },
	DESKTOP_USAGE_FIELDS,
};
static const struct shape out_session_usage = SHAPE("SessionUsage", session_usage);
static const struct shape_field desktop_item = { NULL, SH_OBJECT, .sub = &shape_desktop_usage };
static const struct shape_field server[] = {
	{ "server_id", SH_STRING },
	{ "name", SH_STRING, SH_NULLABLE, .help = "null: the definition could not be read" },
	{ "user_id", SH_STRING, SH_NULLABLE },
	{ "node", SH_STRING },
	GROUP_USAGE_FIELDS,
	{ "memory_limit_bytes", SH_INT, SH_NULLABLE, .help = "the server's limit; null: none" },
	{ "bytes_in", SH_INT, .help = "bytes received from clients" },
	{ "bytes_out", SH_INT, .help = "bytes sent to clients" },
	RATE_FIELDS,
	{ "sessions", SH_OBJECT, .sub = &shape_session_counts },
	{ "desktops", SH_ARRAY, .max = 1000, .item = &desktop_item },
	SAMPLED_FIELD,
};
static const struct shape shape_usage = SHAPE("ServerUsage", server);
static const struct shape_field totals[] = {
	{ "servers", SH_INT },
	{ "cpu_usec", SH_INT, SH_NULLABLE },
	{ "memory_bytes", SH_INT, SH_NULLABLE },
	{ "tasks", SH_INT, SH_NULLABLE },
	{ "io_read_bytes", SH_INT, SH_NULLABLE },
	{ "io_write_bytes", SH_INT, SH_NULLABLE },
	{ "bytes_in", SH_INT },
	{ "bytes_out", SH_INT },
	{ "cpu_core_percent", SH_NUMBER, SH_NULLABLE, .help = "in percent of one core" },
	{ "net_in_kbps", SH_NUMBER, SH_NULLABLE },
	{ "net_out_kbps", SH_NUMBER, SH_NULLABLE },
	{ "sessions", SH_OBJECT, .sub = &shape_session_counts },
};
static const struct shape shape_totals = SHAPE("UsageTotals", totals);
static const struct shape_field node_item = { NULL, SH_OBJECT, .sub = &shape_node };
static const struct shape_field server_item = { NULL, SH_OBJECT, .sub = &shape_usage };
static const struct shape_field name_item = { NULL, SH_STRING };
#define UNREACHABLE_FIELD                                                                                              \
	{ "unreachable", SH_ARRAY, .max = 1000, .item = &name_item, .help = "hosts that did not respond; their usage is missing" }
static const struct shape_field usage_fields[] = {
	{ "timestamp", SH_STRING },
	{ "nodes", SH_ARRAY, .max = 1000, .item = &node_item, .help = "hosts; for admins only" },
	{ "servers", SH_ARRAY, .max = 10000, .item = &server_item, .help = "servers with an instance; a user sees only its own" },
	{ "totals", SH_OBJECT, .sub = &shape_totals, .help = "sums over the listed servers" },
	UNREACHABLE_FIELD,
};
static const struct shape out_usage = SHAPE("Usage", usage_fields);

/* --- history */

static const char *const metric_names[] = {
#define RESOURCE(id, name, unit, scale, help) name,
#include "roles/contract/resources_sampled.def"
#undef RESOURCE
	NULL
};
static const char *const resolutions[] = { "raw", "5m", "1h", NULL };
/* The range itself is checked by the role, with an error code of its own. */
#define STEP_BOUND 1000000000000
static const struct shape_field history_query[] = {
	{ "metric", SH_STRING, .values = metric_names, .otherwise = "\"cpu_percent\"" },
	{ "from", SH_STRING, .max = 40, .format = "time", .help = "begin of the range; absent: an hour before `to`" },
	{ "to", SH_STRING, .max = 40, .format = "time", .help = "end of the range; absent: now" },
	{ "step", SH_INT, .min = -STEP_BOUND, .max = STEP_BOUND, .help = "seconds between two points, at most 2,000 of them; absent: a suitable one" },
};
static const struct shape query_history = SHAPE(NULL, history_query);
static const struct shape_field history_point[] = {
	{ "time", SH_STRING, .help = "begin of the step" }, { "min", SH_NUMBER }, { "mean", SH_NUMBER }, { "max", SH_NUMBER }
};
static const struct shape shape_history_point = SHAPE("HistoryPoint", history_point);
static const struct shape_field history_point_item = { NULL, SH_OBJECT, .sub = &shape_history_point };
static const struct shape_field history_fields[] = {
	{ "metric", SH_STRING, .values = metric_names },
	{ "unit", SH_STRING },
	{ "from", SH_STRING },
	{ "to", SH_STRING },
	{ "step", SH_INT, .help = "seconds" },
	{ "resolution", SH_STRING, .values = resolutions,
	  .help = "samples of the last 24 hours, slots of 5 minutes of 30 days, or hours of a year; the newest points come from finer ones" },
	{ "points", SH_ARRAY, .max = 2000, .item = &history_point_item, .help = "steps without figures are absent" },
};
static const struct shape out_history = SHAPE("ResourceHistory", history_fields);

/* --- the heaviest */

static const char *const top_of[] = { "servers", "sessions", NULL };
static const char *const top_by[] = { "cpu", "memory", "network", "io", "tasks", NULL };
static const struct shape_field top_query[] = {
	{ "of", SH_STRING, .values = top_of, .otherwise = "\"servers\"" },
	{ "by", SH_STRING, .values = top_by, .otherwise = "\"cpu\"", .help = "network and io: both directions together" },
	{ "limit", SH_INT, .min = 1, .max = 100, .otherwise = "10" },
};
static const struct shape query_top = SHAPE(NULL, top_query);
static const struct shape_field top_item[] = {
	{ "server_id", SH_STRING },
	{ "name", SH_STRING, SH_NULLABLE },
	{ "user_id", SH_STRING, SH_NULLABLE, .help = "owner of the server" },
	{ "node", SH_STRING },
	{ "display", SH_INT, SH_NULLABLE, .help = "null: the item is a server" },
	{ "username", SH_STRING, SH_NULLABLE, .help = "account of the session" },
	{ "memory_bytes", SH_INT, SH_NULLABLE },
	{ "tasks", SH_INT, SH_NULLABLE },
	RATE_FIELDS,
	SAMPLED_FIELD,
};
static const struct shape top_item_shape = SHAPE("TopItem", top_item);
static const struct shape_field top_item_item = { NULL, SH_OBJECT, .sub = &top_item_shape };
static const struct shape_field top_fields[] = {
	{ "timestamp", SH_STRING },
	{ "of", SH_STRING, .values = top_of },
	{ "by", SH_STRING, .values = top_by },
	{ "items", SH_ARRAY, .max = 100, .item = &top_item_item, .help = "heaviest first; those whose figure is not known are absent" },
	UNREACHABLE_FIELD,
};
static const struct shape out_top = SHAPE("ResourceTop", top_fields);

#define ROUTE(op_name, op_path, op_scope, op_query, op_out, text)                                                      \
	{ .name = "resources." op_name, .role = ROLE_RESOURCES, .verb = "GET", .path = BASE op_path, .scope = op_scope,     \
	  .flags = OP_READ, .query = op_query, .out = op_out, .summary = text }
static const struct op ops[] = {
	ROUTE("usage", "/usage", OP_USER, NULL, &out_usage, "Current resource usage of hosts and servers"),
	ROUTE("top", "/top", OP_USER, &query_top, &out_top, "The servers or sessions that use most"),
	ROUTE("nodes.usage", "/nodes/{node}/usage", OP_ADMIN, NULL, &shape_node, "Current resource usage of a host"),
	ROUTE("servers.usage", "/servers/{server_id}/usage", OP_USER, NULL, &shape_usage, "Current resource usage of a server"),
	ROUTE("sessions.usage", "/sessions/{session_id}/usage", OP_USER, NULL, &out_session_usage, "Current resource usage of a session"),
	ROUTE("nodes.history", "/nodes/{node}/history", OP_ADMIN, &query_history, &out_history, "Resource usage of a host over time"),
	ROUTE("servers.history", "/servers/{server_id}/history", OP_USER, &query_history, &out_history, "Resource usage of a server over time"),
	ROUTE("sessions.history", "/sessions/{session_id}/history", OP_USER, &query_history, &out_history, "Resource usage of a session over time"),
};
const struct op_table contract_resources = { ops, ARRAY_LEN(ops) };
