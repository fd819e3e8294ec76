#include "roles/rdp-resource-monitor/alert/attempt.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/http_post.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/alert/delivery.h"
#include "roles/rdp-resource-monitor/alert/signature.h"

#define RACES_MAX 8 /* repeated writes of an outcome */
#define ERROR_MAX 120

struct attempts {
	struct alerts *a;
	const struct attempt_events *events;
	void *arg;
	struct http_poster *poster;
	unsigned n, at_once;
	struct metric *delivered, *failed, *given_up;
	bool closing;
};

struct attempt {
	struct attempts *all;
	char alert_id[ID_UUID_SIZE];
	enum delivery_event event;
	json_t *claimed; /* the document of the alert with the claim, while it is written */
	char *body;
	bool ok;
	char error[ERROR_MAX];
	unsigned races;
};

static void attempt_end(struct attempt *t)
{
	struct attempts *s = t->all;
	struct alert *a = (struct alert *)objects_record(s->a->objects, t->alert_id);
	if (a)
		a->busy = false;
	s->n--;
	json_decref(t->claimed);
	free(t->body);
	free(t);
	if (!s->closing)
		s->events->ended(s->arg);
	objects_release(s->a->objects);
}

/* --- the outcome */

static void outcome_queue(struct attempt *t);

static void outcome_durable(int err, void *arg)
{
	struct alert_task *on = arg;
	struct alert *a = (struct alert *)on->on.object;
	struct attempt *t = on->attempt;
	bool again = !err && a->o.overtaken && ++t->races < RACES_MAX;
	if (err && !a->o.gone && !objects_draining(a->o.set)) {
		object_wait(&a->o, outcome_durable, on); /* the object retries the write */
		return;
	}
	if (a->o.doc && !a->o.gone)
		t->all->events->seen(a, a->o.doc, t->all->arg);
	on->attempt = NULL;
	object_task_end(&on->on);
	if (again) /* the alert was cleared or acknowledged meanwhile, which replaced what we wrote */
		outcome_queue(t);
	else
		attempt_end(t);
}

static void outcome_count(struct attempt *t, const json_t *member)
{
	struct attempts *s = t->all;
	bool given_up = str_eq(doc_str(member, "state", ""), delivery_state_name(DELIVERY_GIVEN_UP));
	if (t->races)
		return;
	metric_add(t->ok ? s->delivered : given_up ? s->given_up : s->failed, 1);
	if (t->ok)
		log_info(SERVICE, "%s of alert %s was delivered to ALERT_WEBHOOK_URL", delivery_topic(t->event), t->alert_id);
	else if (given_up)
		log_error(SERVICE, "%s of alert %s could not be delivered to ALERT_WEBHOOK_URL within a day: %s", delivery_topic(t->event), t->alert_id,
			  t->error);
	else
		log_warn(SERVICE, "%s of alert %s could not be delivered to ALERT_WEBHOOK_URL: %s; attempt %lld, the next one at %s",
			 delivery_topic(t->event), t->alert_id, t->error, (long long)doc_int(member, "attempts", 0),
			 doc_str(member, "next_attempt_at", "no time"));
}

static void run_outcome(struct object_task *on)
{
	struct alert_task *task = (struct alert_task *)on;
	struct attempt *t = task->attempt;
	struct object *o = on->object;
	const char *name = delivery_member(t->event);
	const json_t *before = json_object_get(o->doc, name);
	json_t *after = t->ok ? delivery_succeeded(before, clock_wall_ms()) : delivery_failed(before, clock_wall_ms(), t->error);
	outcome_count(t, after);
	object_touch(o, name, after);
	const char *mark = delivery_mark(o->doc);
	object_touch(o, "delivery", mark ? json_string(mark) : json_null());
	object_wait(o, outcome_durable, task);
}

static void outcome_queue(struct attempt *t)
{
	struct object *o = objects_find(t->all->a->objects, t->alert_id);
	if (!o) { /* purged meanwhile */
		attempt_end(t);
		return;
	}
	struct alert_task *task = object_task_new(t->all->a->objects, NULL, run_outcome);
	task->attempt = t;
	object_queue(o, &task->on);
}

/* --- the post */

static void posted(int status, const char *why, void *arg)
{
	struct attempt *t = arg;
	t->ok = status >= 200 && status < 300;
	if (t->all->closing) {
		attempt_end(t);
		return;
	}
	if (!t->ok && status)
		snprintf(t->error, sizeof t->error, "the receiver answered %d%s", status,
			 status >= 300 && status < 400 ? "; redirects are not followed, so set the URL that it redirects to" : "");
	else if (!t->ok)
		snprintf(t->error, sizeof t->error, "%s", why);
	outcome_queue(t);
}

static int post_now(struct attempt *t, const char **ret_why)
{
	const struct config *c = t->all->a->env.config;
	char signature[SIGNATURE_SIZE], time[SIGNATURE_TIME_SIZE];
	size_t len = strlen(t->body);
	signature_make(signature, time, config_str(c, "ALERT_WEBHOOK_SECRET"), clock_wall_ms() / 1000, t->body, len);
	const struct http_post_header headers[] = {
		{ "User-Agent", "lucid-rdp" }, { "X-Lucid-Timestamp", time }, { "X-Lucid-Signature", signature },
	};
	struct http_post post = { .url = config_str(c, "ALERT_WEBHOOK_URL"), .type = "application/json", .headers = headers,
				  .n_headers = ARRAY_LEN(headers), .body = t->body, .len = len, .timeout_ms = DELIVERY_ATTEMPT_MS };
	return http_post(t->all->poster, &post, posted, t, ret_why);
}

static void attempt_post(struct attempt *t)
{
	const char *why = "";
	if (objects_draining(t->all->a->objects)) {
		attempt_end(t);
	} else if (post_now(t, &why)) {
		snprintf(t->error, sizeof t->error, "%s", why);
		outcome_queue(t);
	}
}

/* --- the claim */

static void claim_written(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct alert_task *task = arg;
	struct attempt *t = task->attempt;
	struct object *o = task->on.object;
	if (result == STORE_OK && !o->gone)
		object_take_over(o, TAKE_PTR(t->claimed));
	task->attempt = NULL;
	object_task_end(&task->on);
	if (result == STORE_OK) {
		attempt_post(t);
		return;
	}
	struct alert *a = (struct alert *)objects_record(t->all->a->objects, t->alert_id);
	if (a) /* another process wrote it, or the store failed: the next look decides */
		a->due_ms = clock_wall_ms() + DELIVERY_FIRST_MS;
	attempt_end(t);
}

static void claim_settled(int err, void *arg)
{
	struct alert_task *task = arg;
	struct attempt *t = task->attempt;
	struct object *o = task->on.object;
	int64_t due_ms, now = clock_wall_ms();
	if (err || o->gone || !delivery_next(o->doc, &t->event, &due_ms) || (due_ms > now && due_ms - now <= DELIVERY_MOST_MS)) {
		if (!o->gone && o->doc)
			t->all->events->seen((struct alert *)o, o->doc, t->all->arg);
		task->attempt = NULL;
		object_task_end(&task->on);
		attempt_end(t);
		return;
	}
	const char *name = delivery_member(t->event);
	t->claimed = json_copy(o->doc);
	doc_set(t->claimed, name, delivery_claimed(json_object_get(o->doc, name), now));
	doc_set_int(t->claimed, "version", o->version + 1);
	doc_set_time(t->claimed, "updated_at", now);
	_cleanup_(doc_unrefp) json_t *body = delivery_body(t->claimed, t->event);
	t->body = doc_text(body);
	struct store_op op = { STORE_REPLACE, COL_ALERTS, o->id, o->stored_version, t->claimed };
	store_write(t->all->a->env.store, &op, 1, claim_written, task);
}

static void run_claim(struct object_task *on)
{
	object_wait(on->object, claim_settled, on);
}

bool attempt_begin(struct attempts *s, struct alert *a)
{
	if (s->n >= s->at_once)
		return false;
	struct attempt *t = XNEW(struct attempt);
	struct alert_task *task = object_task_new(s->a->objects, NULL, run_claim);
	*t = (struct attempt){ .all = s };
	memcpy(t->alert_id, a->o.id, sizeof t->alert_id);
	s->n++;
	a->busy = true;
	objects_hold(s->a->objects);
	task->attempt = t;
	object_queue(&a->o, &task->on);
	return true;
}

/* --- life */

struct metric_family *attempt_outcomes(void)
{
	return metric_family("rdp_alert_deliveries_total", METRIC_COUNTER, "outcome",
			     "Attempts to deliver alerts to ALERT_WEBHOOK_URL, by outcome; dropped: not queued, because too many were pending.");
}

struct attempts *attempts_new(struct alerts *a, unsigned at_once, const struct attempt_events *events, void *arg)
{
	struct metric_family *f = attempt_outcomes();
	struct attempts *s = XNEW(struct attempts);
	*s = (struct attempts){ .a = a, .events = events, .arg = arg, .at_once = at_once, .poster = http_poster_new(a->env.loop, at_once),
				.delivered = metric_with(f, "delivered"), .failed = metric_with(f, "failed"),
				.given_up = metric_with(f, "given_up") };
	return s;
}

void attempt_unrun(struct attempt *t)
{
	attempt_end(t);
}

void attempts_close(struct attempts *s)
{
	s->closing = true;
	http_poster_free(s->poster);
	s->poster = NULL;
}

void attempts_free(struct attempts *s)
{
	free(s);
}
