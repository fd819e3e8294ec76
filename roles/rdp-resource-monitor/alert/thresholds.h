/*
 * thresholds: the document with the thresholds of alerts, global and per server. Floor F6, any thread, pure.
 *
 * The stored document has only what was set: {"global": {METRIC: percent}, "hold_seconds", "hysteresis", "servers": [{"server_id", METRIC:
 * percent}]}. thresholds_full adds the defaults.
 */
#ifndef ALERT_THRESHOLDS_H
#define ALERT_THRESHOLDS_H

#include "lucid/shape.h"
#include "roles/rdp-resource-monitor/alert/judge.h"

enum alert_metric { ALERT_CPU, ALERT_MEMORY, ALERT_DISK, ALERT_METRICS };
extern const char *const alert_metrics[ALERT_METRICS]; /* "cpu_percent" … */
bool alert_metric_find(const char *name, enum alert_metric *ret);

/* Default thresholds in percent. */
struct thresholds_defaults {
	double level[ALERT_METRICS];
};

/* The document with all defaults, as a new one. doc NULL: nothing was set. */
json_t *thresholds_full(const json_t *doc, const struct thresholds_defaults *d);
/* Adds a fault for each value of a full document that is out of range. */
void thresholds_check(const json_t *full, struct faults *f);
/* The rule for a metric of a node, or of a server, in a full document. `own`: the server's item in "servers"; NULL: none. False: this metric
 * raises no alert. */
bool thresholds_rule(const json_t *full, bool server, const json_t *own, enum alert_metric metric, struct judge_rule *ret);

#endif
