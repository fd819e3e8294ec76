#include "roles/contract/contract.h"

/* rdp-resource-monitor: thresholds, and the alerts that they raise. */

#define BASE "/api/v1/resources"

/* --- thresholds. Their ranges are checked by the role (LUCID_ERR_2302). */

#define PERCENT_BOUND 1000000
#define PERCENT(field, text) { field, SH_NUMBER, .min = -PERCENT_BOUND, .max = PERCENT_BOUND, .help = text }
#define LEVELS                                                                                                         \
	PERCENT("cpu_percent", "processor time of all cores, 1 to 100; 100: no alert"),                        \
		PERCENT("memory_percent", "memory, 1 to 100; 100: no alert")
static const struct shape_field everywhere[] = {
	LEVELS,
	PERCENT("disk_percent", "of nodes only: their fullest file system, 1 to 100; 100: no alert"),
};
static const struct shape shape_everywhere = SHAPE("ThresholdLevels", everywhere);
static const struct shape_field for_server[] = { { "server_id", SH_STRING, SH_REQUIRED, .format = "uuid" }, LEVELS };
static const struct shape shape_for_server = SHAPE("ServerThresholds", for_server);
static const struct shape_field for_server_item = { NULL, SH_OBJECT, .sub = &shape_for_server };
static const struct shape_field thresholds[] = {
	{ "global", SH_OBJECT, .sub = &shape_everywhere,
	  .help = "of each node and each server. Defaults: cpu_percent as MAX_CPU_USAGE, memory_percent as MAX_MEMORY_USAGE, disk_percent 90" },
	{ "hold_seconds", SH_INT, .min = -PERCENT_BOUND, .max = PERCENT_BOUND, .otherwise = "60",
	  .help = "how long a value must stay above its threshold until the alert is raised, and below it until it is cleared; 0 to 86400" },
	{ "hysteresis", SH_NUMBER, .min = -PERCENT_BOUND, .max = PERCENT_BOUND, .otherwise = "5",
	  .help = "percentage points below the threshold at which the alert may be cleared; 0 to 50" },
	{ "servers", SH_ARRAY, .max = 1000, .item = &for_server_item,
	  .help = "servers with thresholds of their own; an absent member is as in `global`" },
	{ "version", SH_INT, SH_READ_ONLY },
	{ "updated_at", SH_STRING, SH_READ_ONLY | SH_NULLABLE, .help = "null: never changed" },
};
static const struct shape shape_thresholds = SHAPE("Thresholds", thresholds);

/* --- alerts */

static const char *const states[] = { "raised", "acknowledged", "cleared", NULL };
static const char *const queried[] = { "raised", "acknowledged", "cleared", "open", NULL };
static const char *const kinds[] = { "node", "server", NULL };
static const char *const metrics[] = { "cpu_percent", "memory_percent", "disk_percent", NULL };
static const char *const sorts[] = { "raised_at", "-raised_at", NULL };
static const char *const delivery_states[] = { "pending", "delivered", "given_up", "dropped", NULL };
static const char *const pending[] = { "pending", NULL };
static const char *const reasons[] = { "below_threshold", "threshold_removed", "object_gone", NULL };

static const struct shape_field delivery[] = {
	{ "event_id", SH_STRING, .help = "`id` of the posted document; the same in each attempt" },
	{ "state", SH_STRING, .values = delivery_states,
	  .help = "given_up: no attempt succeeded within 24 hours; dropped: too many deliveries were pending when it was to be queued" },
	{ "attempts", SH_INT },
	{ "queued_at", SH_STRING },
	{ "next_attempt_at", SH_STRING, SH_NULLABLE },
	{ "delivered_at", SH_STRING, SH_NULLABLE },
	{ "error", SH_STRING, SH_NULLABLE, .help = "why the last attempt failed" },
};
static const struct shape shape_delivery = SHAPE("WebhookDelivery", delivery);
static const struct shape_field alert[] = {
	{ "alert_id", SH_STRING },
	{ "kind", SH_STRING, .values = kinds },
	{ "node", SH_STRING },
	{ "server_id", SH_STRING, SH_NULLABLE, .help = "null: the alert is about the node" },
	{ "server_name", SH_STRING, SH_NULLABLE },
	{ "user_id", SH_STRING, SH_NULLABLE, .help = "owner of the server; null: only admins see the alert" },
	{ "metric", SH_STRING, .values = metrics },
	{ "status", SH_STRING, .values = states },
	{ "status_reason", SH_STRING, SH_NULLABLE, .values = reasons,
	  .help = "why it was cleared; object_gone: the server was deleted, or the node was removed from the list of nodes" },
	{ "threshold", SH_NUMBER },
	{ "value", SH_NUMBER, .help = "when the alert was raised, in percent" },
	{ "raised_at", SH_STRING },
	{ "acknowledged_at", SH_STRING, SH_NULLABLE },
	{ "acknowledged_by", SH_STRING, SH_NULLABLE },
	{ "cleared_at", SH_STRING, SH_NULLABLE },
	{ "cleared_value", SH_NUMBER, SH_NULLABLE, .help = "null: not cleared, or not because of a value" },
	{ "delivery", SH_STRING, SH_NULLABLE, .values = pending, .help = "pending: one of the two events waits for its delivery" },
	{ "raised_delivery", SH_OBJECT, SH_NULLABLE, .sub = &shape_delivery, .help = "to ALERT_WEBHOOK_URL; null: there was none" },
	{ "cleared_delivery", SH_OBJECT, SH_NULLABLE, .sub = &shape_delivery },
	{ "created_at", SH_STRING },
	{ "updated_at", SH_STRING },
	{ "version", SH_INT },
};
static const struct shape out_alert = SHAPE("Alert", alert);
static const struct shape_field alert_item = { NULL, SH_OBJECT, .sub = &out_alert };
static const struct shape_field list[] = {
	{ "alerts", SH_ARRAY, .max = 100, .item = &alert_item },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_list = SHAPE("AlertList", list);
static const struct shape_field list_query[] = {
	LISTING_FIELDS,
	{ "sort", SH_STRING, .values = sorts, .otherwise = "\"-raised_at\"", .help = "prefix with '-' for descending order" },
	{ "state", SH_STRING, .values = queried, .help = "open: raised or acknowledged" },
	{ "kind", SH_STRING, .values = kinds },
	{ "node", SH_STRING, .min = 1, .max = 64, .format = "node" },
	{ "server_id", SH_STRING, .format = "uuid" },
	{ "metric", SH_STRING, .values = metrics },
	{ "user_id", SH_STRING, .min = 1, .max = 128, .format = "user", .help = "owner of the server" },
};
static const struct shape query_list = SHAPE(NULL, list_query);

static const struct op ops[] = {
	{ .name = "resources.thresholds.get", .role = ROLE_RESOURCES, .verb = "GET", .path = BASE "/thresholds", .scope = OP_ADMIN,
	  .flags = OP_READ, .out = &shape_thresholds, .summary = "The thresholds above which alerts are raised" },
	{ .name = "resources.thresholds.put", .role = ROLE_RESOURCES, .verb = "PUT", .path = BASE "/thresholds", .scope = OP_ADMIN,
	  .flags = OP_IDEMPOTENT | OP_PATCH_BODY | OP_IF_MATCH, .in = &shape_thresholds, .out = &shape_thresholds,
	  .summary = "Change thresholds: null gives the default, absent members stay, and the list of servers is replaced" },
	{ .name = "resources.alerts.list", .role = ROLE_RESOURCES, .verb = "GET", .path = BASE "/alerts", .scope = OP_USER, .flags = OP_READ | OP_ROLES,
	  .query = &query_list, .out = &out_list, .summary = "List alerts, for users those of their own servers" },
	{ .name = "resources.alerts.get", .role = ROLE_RESOURCES, .verb = "GET", .path = BASE "/alerts/{alert_id}", .scope = OP_USER,
	  .flags = OP_READ, .out = &out_alert, .summary = "Read one alert" },
	{ .name = "resources.alerts.acknowledge", .role = ROLE_RESOURCES, .verb = "POST", .path = BASE "/alerts/{alert_id}/acknowledge",
	  .scope = OP_USER, .flags = OP_IDEMPOTENT, .out = &out_alert,
	  .summary = "Acknowledge an alert: it stays open, and lists show who has seen it" },
};
const struct op_table contract_alerts = { ops, ARRAY_LEN(ops) };
