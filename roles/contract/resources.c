#include "roles/contract/contract.h"

/* rdp-resource-monitor: resource usage. So far only current values, without history. */

#define BASE "/api/v1/resources"

static const struct shape_field disk[] = { { "total_bytes", SH_INT }, { "used_bytes", SH_INT }, { "free_bytes", SH_INT } };
static const struct shape disk_shape = SHAPE("DiskUsage", disk);
static const struct shape_field load_item = { NULL, SH_NUMBER };
static const struct shape_field node[] = {
	{ "node", SH_STRING },
	{ "cores", SH_INT },
	{ "cpu_percent", SH_NUMBER, SH_NULLABLE, .help = "CPU usage of all cores together, in percent; null: not measured yet" },
	{ "cpu_usec", SH_INT, .help = "CPU time of all cores since the host started, in microseconds" },
	{ "load", SH_ARRAY, .max = 3, .item = &load_item, .help = "load averages over 1, 5 and 15 minutes" },
	{ "memory_total_bytes", SH_INT },
	{ "memory_available_bytes", SH_INT },
	{ "memory_used_bytes", SH_INT },
	{ "memory_percent", SH_NUMBER, SH_NULLABLE },
	{ "disk", SH_OBJECT, .sub = &disk_shape, .help = "file system of DATA_DIR" },
	{ "uptime_seconds", SH_INT },
	{ "servers", SH_INT, .help = "number of servers with an instance on this host" },
};
static const struct shape shape_node = SHAPE("NodeUsage", node);

#define USAGE                                                                                                          \
	{ "cpu_usec", SH_INT, SH_NULLABLE, .help = "CPU time used since the instance started, in microseconds; null: unknown" },            \
		{ "memory_bytes", SH_INT, SH_NULLABLE }, { "tasks", SH_INT, SH_NULLABLE, .help = "number of processes and threads" }, \
		{ "bytes_in", SH_INT, .help = "bytes received from clients" }, { "bytes_out", SH_INT, .help = "bytes sent to clients" }, \
		{ "sessions", SH_OBJECT, .sub = &shape_session_counts }
static const struct shape_field server[] = {
	{ "server_id", SH_STRING },
	{ "name", SH_STRING, SH_NULLABLE, .help = "null: the definition could not be read" },
	{ "user_id", SH_STRING, SH_NULLABLE },
	{ "node", SH_STRING },
	USAGE,
};
static const struct shape shape_usage = SHAPE("ServerUsage", server);
static const struct shape_field totals[] = { { "servers", SH_INT }, USAGE };
static const struct shape shape_totals = SHAPE("UsageTotals", totals);
static const struct shape_field node_item = { NULL, SH_OBJECT, .sub = &shape_node };
static const struct shape_field server_item = { NULL, SH_OBJECT, .sub = &shape_usage };
static const struct shape_field name_item = { NULL, SH_STRING };
static const struct shape_field usage_fields[] = {
	{ "timestamp", SH_STRING },
	{ "nodes", SH_ARRAY, .max = 1000, .item = &node_item, .help = "hosts; for admins only" },
	{ "servers", SH_ARRAY, .max = 10000, .item = &server_item, .help = "servers with an instance; a user sees only its own" },
	{ "totals", SH_OBJECT, .sub = &shape_totals, .help = "sums over the listed servers" },
	{ "unreachable", SH_ARRAY, .max = 1000, .item = &name_item, .help = "hosts that did not respond; their usage is missing" },
};
static const struct shape out_usage = SHAPE("Usage", usage_fields);

static const struct op ops[] = {
	{ .name = "resources.usage", .role = ROLE_RESOURCES, .verb = "GET", .path = BASE "/usage", .scope = OP_USER,
	  .flags = OP_READ, .out = &out_usage, .summary = "Current resource usage of hosts and servers" },
};
const struct op_table contract_resources = { ops, ARRAY_LEN(ops) };
