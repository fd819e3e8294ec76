#include <math.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/alert/alerts.h"
#include "roles/rdp-resource-monitor/alert/delivery.h"
#include "roles/rdp-resource-monitor/alert/webhook.h"

/* Raises alerts. The id of an alert is a digest of its subject, its metric and the alert before it. Of several monitors that raise it at once, the
 * store therefore accepts one. */

struct judged {
	struct judge judge;
	bool raising;
	char unsure[ID_UUID_SIZE]; /* the insert of this alert had an uncertain outcome, so nobody was told */
};

/* An alert on its way to the store. */
struct raising {
	struct alerts *a;
	struct judged *j;
	struct alert_subject subject;
	char *node, *server_id;
	char key[ALERT_KEY_MAX], id[ID_UUID_SIZE];
	json_t *doc;
};

static void raising_end(struct raising *r)
{
	struct alerts *a = r->a;
	r->j->raising = false;
	json_decref(r->doc);
	free(r->node);
	free(r->server_id);
	free(r);
	objects_release(a->objects);
}

/* Without an alert before it, the day takes its place: an id is not used again after the first alert was purged. */
static void alert_id(char dst[ID_UUID_SIZE], const char *key, const struct alert *before, int64_t now_ms)
{
	char hex[ID_DIGEST_SIZE], day[32];
	snprintf(day, sizeof day, "%lld", (long long)(now_ms / 86400000));
	_cleanup_(xfreep) char *text = xasprintf("%s\n%s", key, before ? before->o.id : day);
	id_digest(hex, text, strlen(text));
	snprintf(dst, ID_UUID_SIZE, "%.8s-%.4s-8%.3s-a%.3s-%.12s", hex, hex + 8, hex + 12, hex + 15, hex + 18);
}

static void raised(struct raising *r)
{
	struct alert *alert = (struct alert *)objects_record(r->a->objects, r->id);
	if (!alert)
		alert = (struct alert *)objects_add(r->a->objects, r->doc);
	if (!alert) {
		log_error(SERVICE, "there are too many alerts: %d; lower ALERT_RETENTION_DAYS or raise the thresholds", ALERTS_MAX);
		return;
	}
	log_warn(SERVICE, "alert %s raised: %s is %g%%, above %g%%", r->id, r->key, json_number_value(json_object_get(r->doc, "value")),
		 json_number_value(json_object_get(r->doc, "threshold")));
	objects_figures(r->a->objects);
	object_publish(&alert->o, "raised", delivery_data(r->doc, DELIVERY_RAISED));
	webhook_wake(r->a->webhook);
}

/* Another monitor raised it first, or our own insert succeeded and its result was lost. */
static void exists_read(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	struct raising *r = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc && str_eq(r->j->unsure, r->id))
		raised(r);
	else if (doc && !objects_record(r->a->objects, r->id))
		objects_add(r->a->objects, doc);
	r->j->unsure[0] = '\0';
	raising_end(r);
}

static void inserted(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct raising *r = arg;
	if (result == STORE_EXISTS) {
		store_get(r->a->env.store, COL_ALERTS, r->id, exists_read, r);
		return;
	}
	if (result == STORE_OK)
		raised(r);
	else
		log_warn(SERVICE, "the alert about %s could not be stored (%s); retrying with the next value", r->key, err_name(err));
	if (store_unsure(err))
		str_copy(r->j->unsure, sizeof r->j->unsure, r->id);
	raising_end(r);
}

static void insert(struct raising *r)
{
	struct alerts *a = r->a;
	struct store_op op = { STORE_INSERT, COL_ALERTS, r->id, 0, r->doc };
	int64_t now = clock_wall_ms();
	alert_id(r->id, r->key, map_get(a->latest, r->key), now);
	doc_set_str(r->doc, "alert_id", r->id);
	doc_set(r->doc, "raised_delivery", webhook_delivery(a->webhook, now));
	doc_set_str(r->doc, "delivery", delivery_mark(r->doc));
	store_write(a->env.store, &op, 1, inserted, r);
}

static void got_server(const struct reply *reply, void *arg)
{
	struct raising *r = arg;
	if (reply->err == ERR_SERVER_NOT_FOUND) {
		raising_end(r);
		return;
	}
	_cleanup_(doc_unrefp) json_t *parsed = reply->blob ? doc_parse(reply->blob->data, reply->blob->len, NULL, 0) : NULL;
	const json_t *server = parsed ? parsed : reply->doc;
	/* without an answer only admins see the alert, which is better than none */
	doc_set_str(r->doc, "server_name", doc_str(server, "name", NULL));
	doc_set_str(r->doc, "user_id", doc_str(server, "user_id", NULL));
	insert(r);
}

static json_t *alert_doc(const struct alert_subject *s, enum alert_metric metric, double threshold, double value)
{
	static const char *const later[] = { "server_name", "user_id", "status_reason", "acknowledged_at", "acknowledged_by", "cleared_at",
					     "cleared_value", "cleared_delivery" };
	json_t *doc = json_object();
	int64_t now = clock_wall_ms();
	doc_set_str(doc, "alert_id", NULL);
	doc_set_str(doc, "kind", s->kind == ALERT_SERVER ? "server" : "node");
	doc_set_str(doc, "node", s->node);
	doc_set_str(doc, "server_id", s->server_id);
	doc_set_str(doc, "metric", alert_metrics[metric]);
	doc_set_str(doc, "status", "raised");
	doc_set(doc, "threshold", json_real(threshold));
	doc_set(doc, "value", json_real(round(value * 100) / 100));
	doc_set_time(doc, "raised_at", now);
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		doc_set_str(doc, later[i], NULL);
	doc_set_time(doc, "created_at", now);
	doc_set_time(doc, "updated_at", now);
	doc_set_int(doc, "version", 1);
	return doc;
}

static void alert_raise(struct alerts *a, const char *key, struct judged *j, const struct alert_subject *s, json_t *consume_doc)
{
	struct raising *r = XNEW(struct raising);
	*r = (struct raising){ .a = a, .j = j, .doc = consume_doc };
	str_copy(r->key, sizeof r->key, key);
	j->raising = true;
	objects_hold(a->objects);
	if (s->kind == ALERT_SERVER)
		bus_call(a->env.bus, &(struct call_args){ .op = a->server, .params = { s->server_id } }, got_server, r);
	else
		insert(r);
}

static struct judged *judged_of(struct alerts *a, const char *key)
{
	struct judged *j = map_get(a->judges, key);
	if (j)
		return j;
	j = XNEW(struct judged);
	*j = (struct judged){ 0 };
	if (map_put(a->judges, key, j, NULL))
		return j;
	free(j);
	return NULL;
}

void alert_judge(struct alerts *a, const struct alert_subject *s, enum alert_metric metric, double value, int64_t mono_ms)
{
	char key[ALERT_KEY_MAX];
	struct judge_rule rule;
	if (!objects_loaded(a->objects) || objects_draining(a->objects) || !threshold_store_loaded(a->thresholds))
		return;
	alert_key(key, s, metric);
	struct judged *j = judged_of(a, key);
	struct alert *latest = map_get(a->latest, key);
	bool open = alert_is_open(latest);
	if (!j || j->raising)
		return;
	if (!threshold_store_rule(a->thresholds, s->server_id, metric, &rule)) {
		judge_reset(&j->judge);
		if (open)
			alert_clear(latest, "threshold_removed", NAN);
		return;
	}
	enum judge_verdict v = judge_value(&j->judge, &rule, open, value, mono_ms);
	if (v == JUDGE_RAISE)
		alert_raise(a, key, j, s, alert_doc(s, metric, rule.threshold, value));
	else if (v == JUDGE_CLEAR)
		alert_clear(latest, "below_threshold", value);
}

void alert_unmeasured(struct alerts *a, const struct alert_subject *s)
{
	char key[ALERT_KEY_MAX];
	for (enum alert_metric m = 0; m < ALERT_METRICS; m++) {
		alert_key(key, s, m);
		struct judged *j = map_get(a->judges, key);
		if (j && j->raising)
			judge_reset(&j->judge);
		else if (j)
			free(map_remove(a->judges, key));
	}
}
