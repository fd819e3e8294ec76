#include "roles/rdp-resource-monitor/alert/threshold_store.h"

#include "lucid/clock.h"
#include "lucid/map.h"
#include "lucid/nodes.h"
#include "lucid/under_way.h"
#include "roles/contract/contract.h"

#define ID "thresholds" /* of the only document */
#define TOPIC "resource.thresholds.updated"
#define READ_MS 60000	    /* how often the document is read again */
#define READ_SHARED_MS 2000 /* if other processes may change it, whose events may not arrive here */
#define RETRY_MS 1000
#define RACES_MAX 8
#define SERVERS_MAX 1000
#define DISK_PERCENT 90

struct threshold_store {
	struct role_env env;
	json_t *doc; /* as stored; NULL: nothing was set, or not read yet */
	struct map *own; /* server id → its item in doc */
	bool loaded, reading, stopped;
	struct loop_timer *timer;
	struct subscription *updates, *gaps;
	struct under_way under_way;
	/* the document with defaults, for judging */
	json_t *full;
	struct thresholds_defaults defaults;
};

static void store_gone(void *arg)
{
	struct threshold_store *t = arg;
	json_decref(t->doc);
	json_decref(t->full);
	map_free(t->own, NULL);
	free(t);
}

static void thresholds_hold(struct threshold_store *t)
{
	under_way_begin(&t->under_way);
}

static void thresholds_release(struct threshold_store *t)
{
	under_way_end(&t->under_way);
}

static struct thresholds_defaults defaults(const struct threshold_store *t)
{
	return (struct thresholds_defaults){ {
		[ALERT_CPU] = (double)config_int(t->env.config, "MAX_CPU_USAGE"),
		[ALERT_MEMORY] = (double)config_int(t->env.config, "MAX_MEMORY_USAGE"),
		[ALERT_DISK] = DISK_PERCENT,
	} };
}

static json_t *full_of(const struct threshold_store *t, const json_t *doc)
{
	struct thresholds_defaults d = defaults(t);
	return thresholds_full(doc, &d);
}

static void take_thresholds(struct threshold_store *t, json_t *consume)
{
	json_t *server;
	size_t i;
	json_decref(t->doc);
	map_free(t->own, NULL);
	t->doc = consume;
	t->own = map_new(SERVERS_MAX);
	json_array_foreach(json_object_get(t->doc, "servers"), i, server)
		map_put(t->own, doc_str(server, "server_id", ""), server, NULL);
	json_decref(t->full);
	t->full = NULL;
	t->loaded = true;
}

/* --- following */

static void thresholds_read(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	struct threshold_store *t = arg;
	t->reading = false;
	if (result == STORE_OK)
		take_thresholds(t, doc_parse(d->text->data, d->text->len, NULL, 0));
	else if (result == STORE_MISSING)
		take_thresholds(t, NULL);
	if (!t->stopped)
		loop_timer_set(t->timer, result == STORE_FAILED ? RETRY_MS : nodes_shared(t->env.nodes) ? READ_SHARED_MS : READ_MS);
	thresholds_release(t);
}

static void read_now(void *arg)
{
	struct threshold_store *t = arg;
	if (t->reading || t->stopped)
		return;
	t->reading = true;
	thresholds_hold(t);
	store_get(t->env.store, COL_THRESHOLDS, ID, thresholds_read, t);
}

static void on_updated(const struct event *e, void *arg)
{
	if (*e->origin) /* else it is ours */
		read_now(arg);
}

static void on_gap(UNUSED const struct event *e, void *arg)
{
	read_now(arg);
}

/* --- operations */

struct threshold_call {
	struct threshold_store *t;
	struct call *call;
	unsigned races;
	json_t *next; /* PUT: what is being written */
	int64_t version;
};

static void threshold_call_end(struct threshold_call *w)
{
	struct threshold_store *t = w->t;
	json_decref(w->next);
	free(w);
	thresholds_release(t);
}

static void send_thresholds(struct threshold_call *w, const json_t *doc)
{
	call_set_version(w->call, doc_int(doc, "version", 0));
	call_ok(w->call, full_of(w->t, doc));
	threshold_call_end(w);
}

static void fail_thresholds(struct threshold_call *w, int err)
{
	if (err == -ERR_UNCERTAIN || err == -ERR_DEADLINE)
		call_fail(w->call, -err, "the write to the store timed out; read the thresholds before retrying");
	else
		call_fail(w->call, err ? -err : ERR_UNAVAILABLE, NULL);
	threshold_call_end(w);
}

static void get_read(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct threshold_call *w = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_FAILED)
		fail_thresholds(w, err);
	else
		send_thresholds(w, doc);
}

static void thresholds_call_begin(struct threshold_store *t, struct call *c, store_get_done read)
{
	struct threshold_call *w = XNEW(struct threshold_call);
	*w = (struct threshold_call){ .t = t, .call = c };
	thresholds_hold(t);
	store_get(t->env.store, COL_THRESHOLDS, ID, read, w);
}

static void op_thresholds_get(struct call *c, void *arg)
{
	thresholds_call_begin(arg, c, get_read);
}

static void put_read(enum store_result result, const struct store_doc *d, int err, void *arg);

static void put_written(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct threshold_call *w = arg;
	struct threshold_store *t = w->t;
	if (result == STORE_FAILED) {
		fail_thresholds(w, err);
	} else if (result != STORE_OK && (call_if_match(w->call) || ++w->races > RACES_MAX)) {
		call_fail(w->call, call_if_match(w->call) ? ERR_STALE : ERR_BUSY, NULL);
		threshold_call_end(w);
	} else if (result != STORE_OK) {
		store_get(t->env.store, COL_THRESHOLDS, ID, put_read, w);
	} else {
		json_t *data = json_object();
		doc_set_int(data, "version", w->version + 1);
		bus_publish(t->env.bus, TOPIC, "", "", data);
		take_thresholds(t, json_incref(w->next));
		send_thresholds(w, w->next);
	}
}

/* The document after the change; NULL: the call was answered. */
static json_t *put_apply(struct threshold_call *w, const json_t *stored)
{
	struct faults f = { 0 }, ranges = { 0 };
	_cleanup_(doc_unrefp) json_t *before = full_of(w->t, stored);
	_cleanup_(doc_unrefp) json_t *patch = shape_unchanged(call_op(w->call)->in, call_body(w->call), before, true, &f);
	json_t *next = doc_merge(stored, patch);
	_cleanup_(doc_unrefp) json_t *after = full_of(w->t, next);
	thresholds_check(after, &ranges);
	if (!faults_any(&f) && !faults_any(&ranges))
		return next;
	json_decref(next);
	if (faults_any(&f))
		call_fail_details(w->call, ERR_INVALID, faults_take(&f), NULL);
	else
		call_fail_details(w->call, ERR_BAD_RANGE, faults_take(&ranges), NULL);
	faults_done(&ranges);
	return NULL;
}

static void put_read(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct threshold_call *w = arg;
	_cleanup_(doc_unrefp) json_t *stored = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_FAILED) {
		fail_thresholds(w, err);
		return;
	}
	w->version = doc_int(stored, "version", 0);
	if (call_if_match(w->call) && call_if_match(w->call) != w->version) {
		call_fail(w->call, ERR_STALE, NULL);
		threshold_call_end(w);
		return;
	}
	json_decref(w->next);
	w->next = put_apply(w, stored);
	if (!w->next) {
		threshold_call_end(w);
		return;
	}
	doc_set_int(w->next, "version", w->version + 1);
	doc_set_time(w->next, "updated_at", clock_wall_ms());
	struct store_op op = { w->version ? STORE_REPLACE : STORE_INSERT, COL_THRESHOLDS, ID, w->version, w->next };
	store_write(w->t->env.store, &op, 1, put_written, w);
}

static void op_thresholds_put(struct call *c, void *arg)
{
	thresholds_call_begin(arg, c, put_read);
}

/* --- life */

bool threshold_store_loaded(const struct threshold_store *t)
{
	return t->loaded;
}

bool threshold_store_rule(struct threshold_store *t, const char *server_id, enum alert_metric metric, struct judge_rule *ret)
{
	struct thresholds_defaults now = defaults(t);
	if (!t->full || memcmp(&now, &t->defaults, sizeof now) != 0) { /* they are settings that may change */
		json_decref(t->full);
		t->full = thresholds_full(t->doc, &now);
		t->defaults = now;
	}
	return thresholds_rule(t->full, server_id != NULL, server_id ? map_get(t->own, server_id) : NULL, metric, ret);
}

struct threshold_store *threshold_store_new(const struct role_env *env)
{
	struct threshold_store *t = XNEW(struct threshold_store);
	*t = (struct threshold_store){ .env = *env, .own = map_new(SERVERS_MAX) };
	t->timer = loop_timer_new(env->loop, read_now, t);
	bus_serve(env->bus, op_find("resources.thresholds.get"), op_thresholds_get, t);
	bus_serve(env->bus, op_find("resources.thresholds.put"), op_thresholds_put, t);
	return t;
}

void threshold_store_start(struct threshold_store *t)
{
	t->updates = bus_subscribe(t->env.bus, TOPIC, on_updated, t);
	t->gaps = bus_subscribe(t->env.bus, BUS_GAP, on_gap, t);
	read_now(t);
}

void threshold_store_stop(struct threshold_store *t)
{
	t->stopped = true;
}

void threshold_store_free(struct threshold_store *t)
{
	if (!t)
		return;
	t->stopped = true;
	bus_unsubscribe(t->updates);
	bus_unsubscribe(t->gaps);
	loop_timer_free(t->timer);
	t->timer = NULL;
	under_way_wait(&t->under_way, store_gone, t);
}
