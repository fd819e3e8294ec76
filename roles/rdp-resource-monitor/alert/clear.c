#include <math.h>

#include "lucid/str.h"
#include "roles/rdp-resource-monitor/alert/alerts.h"
#include "roles/rdp-resource-monitor/alert/delivery.h"
#include "roles/rdp-resource-monitor/alert/webhook.h"
#include "lucid/clock.h"

/* Clears alerts: a task on the strand of the alert, so that an acknowledgement at the same time is not lost. */

static struct alert *alert_of(const struct alert_task *t)
{
	return (struct alert *)t->on.object;
}

static void clear_end(struct alert_task *t)
{
	alert_of(t)->clearing = false;
	object_task_end(&t->on);
}

static void clear_durable(int err, void *arg)
{
	struct alert_task *t = arg;
	struct alert *a = alert_of(t);
	struct alerts *all = alert_alerts(a);
	if (err && !a->o.gone && !objects_draining(all->objects)) {
		object_wait(&a->o, clear_durable, t); /* the object retries the write */
		return;
	}
	if (!err && !a->o.overtaken) { /* else another monitor cleared it first, and told of it */
		clock_from_iso(doc_str(a->o.doc, "cleared_at", ""), &a->cleared_ms);
		object_publish(&a->o, "cleared", delivery_data(a->o.doc, DELIVERY_CLEARED));
		webhook_consider(all->webhook, a, a->o.doc);
		webhook_wake(all->webhook);
	}
	clear_end(t);
}

static void run_clear(struct object_task *on)
{
	struct alert_task *t = (struct alert_task *)on;
	struct alert *a = alert_of(t);
	if (!alert_is_open(a)) {
		clear_end(t);
		return;
	}
	json_t *extra = json_object();
	if (!isnan(t->value))
		doc_set(extra, "cleared_value", json_real(round(t->value * 100) / 100));
	doc_set(extra, "cleared_delivery", webhook_delivery(alert_alerts(a)->webhook, clock_wall_ms()));
	if (delivery_mark(extra)) /* else that of the other event stays */
		doc_set_str(extra, "delivery", delivery_mark(extra));
	object_enter(&a->o, ALERT_CLEARED, t->reason, extra);
	object_wait(&a->o, clear_durable, t);
}

void alert_clear(struct alert *a, const char *reason, double value)
{
	if (a->clearing || objects_draining(a->o.set))
		return;
	struct alert_task *t = object_task_new(a->o.set, NULL, run_clear);
	a->clearing = true;
	t->reason = reason;
	t->value = value;
	object_queue(&a->o, &t->on);
}

void alerts_server_deleted(const struct event *e, void *alerts)
{
	struct alerts *a = alerts;
	char key[ALERT_KEY_MAX];
	struct alert_subject s = { ALERT_SERVER, "", e->object_id };
	alert_unmeasured(a, &s);
	for (enum alert_metric m = 0; m < ALERT_METRICS; m++) {
		alert_key(key, &s, m);
		struct alert *alert = map_get(a->latest, key);
		if (alert_is_open(alert))
			alert_clear(alert, "object_gone", NAN);
	}
}
