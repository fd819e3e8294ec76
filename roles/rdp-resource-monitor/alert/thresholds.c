#include "roles/rdp-resource-monitor/alert/thresholds.h"

#include <stdio.h>

#include "lucid/map.h"
#include "lucid/str.h"

#define HOLD_SECONDS 60
#define HOLD_SECONDS_MAX 86400
#define HYSTERESIS 5
#define HYSTERESIS_MAX 50
#define LEVEL_MIN 1
#define LEVEL_MAX 100

const char *const alert_metrics[ALERT_METRICS] = { "cpu_percent", "memory_percent", "disk_percent" };

bool alert_metric_find(const char *name, enum alert_metric *ret)
{
	for (enum alert_metric m = 0; m < ALERT_METRICS; m++) {
		if (str_eq(alert_metrics[m], name)) {
			*ret = m;
			return true;
		}
	}
	return false;
}

static double number(const json_t *doc, const char *key, double otherwise)
{
	const json_t *v = json_object_get(doc, key);
	return json_is_number(v) ? json_number_value(v) : otherwise;
}

/* A whole number stays one in JSON. */
static json_t *number_json(double v)
{
	return v == (double)(int64_t)v ? json_integer((int64_t)v) : json_real(v);
}

json_t *thresholds_full(const json_t *doc, const struct thresholds_defaults *d)
{
	json_t *full = json_object(), *global = json_object();
	const json_t *servers = json_object_get(doc, "servers");
	for (enum alert_metric m = 0; m < ALERT_METRICS; m++)
		doc_set(global, alert_metrics[m], number_json(number(json_object_get(doc, "global"), alert_metrics[m], d->level[m])));
	doc_set(full, "global", global);
	doc_set_int(full, "hold_seconds", doc_int(doc, "hold_seconds", HOLD_SECONDS));
	doc_set(full, "hysteresis", number_json(number(doc, "hysteresis", HYSTERESIS)));
	doc_set(full, "servers", json_is_array(servers) ? json_incref((json_t *)(uintptr_t)servers) : json_array());
	doc_set_int(full, "version", doc_int(doc, "version", 0));
	doc_set_str(full, "updated_at", doc_str(doc, "updated_at", NULL));
	return full;
}

static void check_level(const json_t *levels, enum alert_metric m, const char *path, double hysteresis, struct faults *f)
{
	char field[96];
	double level = number(levels, alert_metrics[m], LEVEL_MAX);
	snprintf(field, sizeof field, "%s.%s", path, alert_metrics[m]);
	if (level < LEVEL_MIN || level > LEVEL_MAX)
		faults_add(f, field, "must be %d to %d percent; %d: no alert", LEVEL_MIN, LEVEL_MAX, LEVEL_MAX);
	else if (level <= hysteresis)
		faults_add(f, field, "must be above hysteresis (%g), or the alert could never be cleared", hysteresis);
}

static void check_servers(const json_t *servers, double hysteresis, struct faults *f)
{
	struct map *seen = map_new(json_array_size(servers) + 1);
	json_t *server;
	size_t i;
	json_array_foreach((json_t *)(uintptr_t)servers, i, server)
	{
		char path[32], field[64];
		const char *id = doc_str(server, "server_id", "");
		snprintf(path, sizeof path, "servers[%zu]", i);
		snprintf(field, sizeof field, "%s.server_id", path);
		if (!*id)
			faults_add(f, field, "is required");
		else if (map_get(seen, id))
			faults_add(f, field, "is listed twice; name each server once");
		map_put(seen, id, server, NULL);
		check_level(server, ALERT_CPU, path, hysteresis, f);
		check_level(server, ALERT_MEMORY, path, hysteresis, f);
	}
	map_free(seen, NULL);
}

void thresholds_check(const json_t *full, struct faults *f)
{
	int64_t hold = doc_int(full, "hold_seconds", HOLD_SECONDS);
	double hysteresis = number(full, "hysteresis", HYSTERESIS);
	if (hold < 0 || hold > HOLD_SECONDS_MAX)
		faults_add(f, "hold_seconds", "must be 0 to %d", HOLD_SECONDS_MAX);
	if (hysteresis < 0 || hysteresis > HYSTERESIS_MAX) {
		faults_add(f, "hysteresis", "must be 0 to %d percentage points", HYSTERESIS_MAX);
		hysteresis = 0;
	}
	for (enum alert_metric m = 0; m < ALERT_METRICS; m++)
		check_level(json_object_get(full, "global"), m, "global", hysteresis, f);
	check_servers(json_object_get(full, "servers"), hysteresis, f);
}

bool thresholds_rule(const json_t *full, bool server, const json_t *own, enum alert_metric metric, struct judge_rule *ret)
{
	double global = number(json_object_get(full, "global"), alert_metrics[metric], JUDGE_NEVER);
	if (server && metric == ALERT_DISK)
		return false;
	*ret = (struct judge_rule){
		.threshold = number(own, alert_metrics[metric], global),
		.hysteresis = number(full, "hysteresis", HYSTERESIS),
		.hold_ms = doc_int(full, "hold_seconds", HOLD_SECONDS) * 1000,
	};
	return ret->threshold < JUDGE_NEVER;
}
