#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/alert/alerts.h"
#include "roles/rdp-resource-monitor/alert/attempt.h"
#include "roles/rdp-resource-monitor/alert/webhook.h"

/* Alerts as stored objects: states, records, leases. */

static const struct object_state states[ALERT_STATES] = {
	[ALERT_RAISED] = { "raised", false, ALERT_RAISED },
	[ALERT_ACKNOWLEDGED] = { "acknowledged", false, ALERT_ACKNOWLEDGED },
	[ALERT_CLEARED] = { "cleared", false, ALERT_CLEARED },
};

static void alert_acknowledged(json_t *doc, int64_t now_ms)
{
	doc_set_time(doc, "acknowledged_at", now_ms);
}

static void alert_cleared(json_t *doc, int64_t now_ms)
{
	doc_set_time(doc, "cleared_at", now_ms);
}

static const struct object_transition transitions[] = {
	{ ALERT_RAISED, ALERT_ACKNOWLEDGED, .effect = alert_acknowledged },
	{ ALERT_RAISED, ALERT_CLEARED, .effect = alert_cleared },
	{ ALERT_ACKNOWLEDGED, ALERT_CLEARED, .effect = alert_cleared },
};

void alert_key(char dst[ALERT_KEY_MAX], const struct alert_subject *s, enum alert_metric metric)
{
	snprintf(dst, ALERT_KEY_MAX, "%s %s %s", alert_metrics[metric], s->kind == ALERT_SERVER ? "server" : "node",
		 s->kind == ALERT_SERVER ? s->server_id : s->node);
}

/* What follows `word` in the key. */
static const char *after_word(const struct alert *a, const char *word)
{
	const char *p = strstr(a->key, word);
	return p ? p + strlen(word) : NULL;
}

const char *alert_server(const struct alert *a)
{
	return after_word(a, " server ");
}

const char *alert_node(const struct alert *a)
{
	return after_word(a, " node ");
}

static void index_alert(struct alert *a)
{
	struct alerts *all = alert_alerts(a);
	const struct alert *latest = map_get(all->latest, a->key);
	if (!latest || latest->raised_ms < a->raised_ms)
		map_put(all->latest, a->key, a, NULL);
}

static void alert_read(struct object *o, const json_t *doc)
{
	struct alert *a = (struct alert *)o;
	enum alert_metric metric = ALERT_CPU;
	struct alert_subject s = { str_eq(doc_str(doc, "kind", ""), "server") ? ALERT_SERVER : ALERT_NODE, doc_str(doc, "node", ""),
				   doc_str(doc, "server_id", "") };
	alert_metric_find(doc_str(doc, "metric", ""), &metric);
	alert_key(a->key, &s, metric);
	a->raised_ms = a->cleared_ms = 0;
	clock_from_iso(doc_str(doc, "raised_at", ""), &a->raised_ms);
	clock_from_iso(doc_str(doc, "cleared_at", ""), &a->cleared_ms);
	index_alert(a);
	webhook_consider(alert_alerts(a)->webhook, a, doc);
}

static void alert_dropped(struct object *o)
{
	struct alert *a = (struct alert *)o;
	struct alerts *all = alert_alerts(a);
	if (map_get(all->latest, a->key) == a)
		map_remove(all->latest, a->key);
	webhook_forget(all->webhook, a);
}

static void alerts_led(struct object_group *g, bool held)
{
	struct alerts *a = objects_ctx(g->set);
	log_info(SERVICE, held ? "this process now delivers alerts" : "another process delivers alerts");
	if (held)
		webhook_wake(a->webhook);
}

static void alerts_loaded(struct objects *set)
{
	struct alerts *a = objects_ctx(set);
	webhook_wake(a->webhook);
	loop_timer_set(a->purge, 1000);
}

/* The strand has read the document before it runs a task. */
static void run_look(struct object_task *t)
{
	object_task_end(t);
}

void alert_look(struct alert *a)
{
	if (object_idle(&a->o))
		object_queue(&a->o, object_task_new(a->o.set, NULL, run_look));
}

static void alert_task_free(struct object_task *on)
{
	struct alert_task *t = (struct alert_task *)on;
	if (t->attempt)
		attempt_unrun(t->attempt);
}

/* No state of an alert is an operation in progress, so no task comes second. */
const struct object_kind alert_kind = {
	.name = "alert",
	.plural = "alerts",
	.service = SERVICE,
	.collection = COL_ALERTS,
	.id_field = "alert_id",
	.owner_field = "user_id",
	.state_field = "status",
	.reason_field = "status_reason",
	.topic = "resource.alert",
	.lease = "alerts",
	.figure = "rdp_resource_alerts",
	.figure_help = "Alerts that are kept, by status.",
	.missing = ERR_NOT_FOUND,
	.states = states,
	.nstates = ALERT_STATES,
	.unknown = ALERT_CLEARED,
	.transitions = transitions,
	.ntransitions = ARRAY_LEN(transitions),
	.written = (const char *const[]){ "acknowledged_at", "acknowledged_by", "cleared_at", "cleared_value", "cleared_delivery", NULL },
	.size = sizeof(struct alert),
	.task_size = sizeof(struct alert_task),
	.max = ALERTS_MAX,
	.read = alert_read,
	.dropped = alert_dropped,
	.lead = alerts_led,
	.loaded = alerts_loaded,
	.scan = alerts_scan,
	.task_free = alert_task_free,
};
