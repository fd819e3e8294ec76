#include "roles/rdp-resource-monitor/alert/alerts.h"
#include "roles/rdp-resource-monitor/alert/delivery.h"

/* The process that delivers looks every OBJECT_SCAN_MS for alerts with a pending delivery that it does not know of. */

#define SCAN_PAGE 200

static void scan_take(struct alerts *a, const json_t *doc)
{
	struct alert *alert = (struct alert *)objects_record(a->objects, doc_str(doc, "alert_id", ""));
	if (!alert)
		objects_add(a->objects, doc);
	else if (delivery_mark(doc) && !alert->busy && (doc_int(doc, "version", 0) > alert->o.version || !alert->queued))
		alert_look(alert);
}

static void scanned(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct alerts *a = arg;
	a->scanning = false;
	for (size_t i = 0; result == STORE_OK && i < n && !objects_draining(a->objects); i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (doc)
			scan_take(a, doc);
	}
	objects_release(a->objects);
}

void alerts_scan(struct objects *set)
{
	static const struct store_query pending = { .filters = { { .path = "delivery", .cmp = STORE_EQ, .text = "pending" } }, .nfilters = 1,
						    .sort = { "id", false }, .limit = SCAN_PAGE };
	struct alerts *a = objects_ctx(set);
	if (a->scanning || !objects_loaded(set) || !alerts_lead(a) || !*config_str(a->env.config, "ALERT_WEBHOOK_URL"))
		return;
	a->scanning = true;
	objects_hold(set);
	store_list(a->env.store, COL_ALERTS, &pending, scanned, a);
}
