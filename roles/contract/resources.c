#include "roles/contract/contract.h"

/* rdp-resource-monitor: figures. As yet those of now. */

#define BASE "/api/v1/resources"

static const struct shape_field disk[] = { { "total_bytes", SH_INT }, { "used_bytes", SH_INT }, { "free_bytes", SH_INT } };
static const struct shape disk_shape = SHAPE("DiskUsage", disk);
static const struct shape_field load_item = { NULL, SH_NUMBER };
static const struct shape_field node[] = {
	{ "node", SH_STRING },
	{ "cores", SH_INT },
	{ "cpu_percent", SH_NUMBER, SH_NULLABLE, .help = "of all cores together; null: not known yet" },
	{ "cpu_usec", SH_INT, .help = "used by all cores since the host started" },
	{ "load", SH_ARRAY, .max = 3, .item = &load_item, .help = "means of 1, 5 and 15 minutes" },
	{ "memory_total_bytes", SH_INT },
	{ "memory_available_bytes", SH_INT },
	{ "memory_used_bytes", SH_INT },
	{ "memory_percent", SH_NUMBER, SH_NULLABLE },
	{ "disk", SH_OBJECT, .sub = &disk_shape, .help = "where DATA_DIR is" },
	{ "uptime_seconds", SH_INT },
	{ "servers", SH_INT, .help = "that have an instance there" },
};
static const struct shape shape_node = SHAPE("NodeUsage", node);

#define USAGE                                                                                                          \
	{ "cpu_usec", SH_INT, SH_NULLABLE, .help = "used since the instance began; null: not known here" },            \
		{ "memory_bytes", SH_INT, SH_NULLABLE }, { "tasks", SH_INT, SH_NULLABLE, .help = "processes and threads" }, \
		{ "bytes_in", SH_INT, .help = "received from clients" }, { "bytes_out", SH_INT, .help = "sent to clients" }, \
		{ "sessions", SH_OBJECT, .sub = &shape_session_counts }
static const struct shape_field server[] = {
	{ "server_id", SH_STRING },
	{ "name", SH_STRING, SH_NULLABLE, .help = "null: its definition cannot be read now" },
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
	{ "nodes", SH_ARRAY, .max = 1000, .item = &node_item, .help = "hosts; admins alone" },
	{ "servers", SH_ARRAY, .max = 10000, .item = &server_item, .help = "that have an instance; a user's are its own" },
	{ "totals", SH_OBJECT, .sub = &shape_totals, .help = "of the servers shown" },
	{ "unreachable", SH_ARRAY, .max = 1000, .item = &name_item, .help = "hosts that did not answer: theirs are missing" },
};
static const struct shape out_usage = SHAPE("Usage", usage_fields);

static const struct op ops[] = {
	{ .name = "resources.usage", .role = ROLE_RESOURCES, .verb = "GET", .path = BASE "/usage", .scope = OP_USER,
	  .flags = OP_READ, .out = &out_usage, .summary = "What hosts and servers use now" },
};
const struct op_table contract_resources = { ops, ARRAY_LEN(ops) };
