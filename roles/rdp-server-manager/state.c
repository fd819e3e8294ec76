#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"

#define RETRY_MS 1000

/* Waits for a version to be durable; then what it meant is published, or somebody is told. */
struct waiter {
	struct list node;
	int64_t version;
	server_durable done; /* NULL: an event */
	void *arg;
	json_t *data;
};

static void flush(struct server *s);

static void publish_status(struct server *s, json_t *consume)
{
	bus_publish(s->m->env.bus, "server.status", s->id, s->owner->id, consume);
}

/* What became durable is told in the order it was entered. */
static void settle(struct server *s)
{
	struct waiter *w, *tmp;
	struct list ready;
	list_init(&ready);
	LIST_FOREACH_SAFE(w, tmp, &s->waiters, node) {
		if (w->version > s->stored_version)
			break;
		list_remove(&w->node);
		list_append(&ready, &w->node);
	}
	LIST_FOREACH_SAFE(w, tmp, &ready, node) {
		list_remove(&w->node);
		if (w->done)
			w->done(0, w->arg);
		else if (!s->gone)
			publish_status(s, TAKE_PTR(w->data));
		json_decref(w->data);
		free(w);
	}
}

/* Those who wait for an answer get one; events stay until the store has them. */
static void tell_failure(struct server *s, int err)
{
	struct waiter *w, *tmp;
	struct list failed;
	list_init(&failed);
	LIST_FOREACH_SAFE(w, tmp, &s->waiters, node) {
		if (!w->done)
			continue;
		list_remove(&w->node);
		list_append(&failed, &w->node);
	}
	LIST_FOREACH_SAFE(w, tmp, &failed, node) {
		list_remove(&w->node);
		w->done(err, w->arg);
		free(w);
	}
}

static void retry(void *arg)
{
	struct server *s = arg;
	flush(s);
}

static void retry_later(struct server *s)
{
	if (!s->retry)
		s->retry = loop_timer_new(s->m->env.loop, retry, s);
	loop_timer_set(s->retry, RETRY_MS);
}

/* Members that server_enter writes; when another manager wrote in between, these of ours go on top of its document. */
static const char *const ours[] = { "status",	  "status_reason", "backend",	 "isolation", "pending_restart",
				    "started_at", "stopped_at",	   "updated_at", "host",      "port" };

/* Whether what stands in the store is what we wrote, and only the answer was lost. */
static bool landed(const struct server *s, const json_t *theirs)
{
	return s->unsure && json_equal(s->unsure, theirs);
}

/* Another manager's change of status stands, unless it was none: then ours goes on top of the document. */
static bool theirs_counts(const struct server *s, const json_t *theirs)
{
	enum server_status status = s->stored_status;
	server_status_from_string(doc_str(theirs, "status", ""), &status);
	if (s->m->one_host)
		return false;
	return s->strict || status != s->stored_status ||
	       (in_between(status) && clock_mono_us() - s->seen_us > s->m->busy_ms * 1000);
}

/* What we entered is void; who waits for it goes on with what there is. */
static void yield(struct server *s, json_t *consume_theirs)
{
	struct waiter *w, *tmp;
	LIST_FOREACH_SAFE(w, tmp, &s->waiters, node) {
		if (w->done)
			continue;
		list_remove(&w->node);
		json_decref(w->data);
		free(w);
	}
	log_info(SERVICE, "server %s: another manager was first", s->id);
	s->overtaken = true;
	server_written(s, consume_theirs, 0);
	LIST_FOREACH(w, &s->waiters, node)
		w->version = s->stored_version;
	settle(s);
}

static void reread(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct server *s = arg;
	json_t *theirs = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	struct manager *m = s->m;
	if (result == STORE_MISSING && !s->gone) {
		log_warn(SERVICE, "server %s was deleted elsewhere", s->id);
		s->stored_version = s->version;
		tell_failure(s, -ERR_SERVER_NOT_FOUND);
		server_drop(s);
	}
	if (theirs && !s->gone && !landed(s, theirs) && theirs_counts(s, theirs)) {
		yield(s, TAKE_PTR(theirs)); /* `writing` stays set meanwhile, as in flushed */
		s->writing = s->strict = false;
		m->under_way--;
		flush(s);
		server_let_go(s);
		manager_idle(m);
		return;
	}
	s->writing = false;
	m->under_way--;
	if (!theirs || s->gone) {
		json_decref(theirs);
		if (s->gone)
			server_let_go(s);
		else
			retry_later(s);
		manager_idle(m);
		return;
	}
	s->stored_version = d->version;
	server_status_from_string(doc_str(theirs, "status", ""), &s->stored_status);
	for (size_t i = 0; s->doc && i < ARRAY_LEN(ours); i++)
		json_object_set(theirs, ours[i], json_object_get(s->doc, ours[i]));
	s->version = MAX(s->version, d->version + 1);
	doc_set_int(theirs, "version", s->version);
	json_decref(s->doc);
	s->doc = theirs;
	flush(s);
}

static void flushed(enum store_result result, size_t index, int err, void *arg)
{
	struct server *s = arg;
	if (!s->gone && (result == STORE_STALE || result == STORE_MISSING)) {
		store_get(s->m->env.store, COL_SERVERS, s->id, reread, s);
		return;
	}
	/* `writing` stays set while others are told, so that the record lives and what they enter is written as one */
	if (!s->gone && result != STORE_OK) {
		log_warn(SERVICE, "the status of server %s could not be stored (%s); it is tried again", s->id, err_name(err));
		if (store_unsure(err) && !s->unsure)
			s->unsure = json_incref(s->doc);
		retry_later(s);
		tell_failure(s, err ? err : -ERR_UNAVAILABLE);
	} else if (!s->gone) {
		s->stored_version = s->writing_version;
		s->stored_status = s->writing_status;
		s->seen_us = clock_mono_us();
		s->strict = false;
		json_decref(s->unsure);
		s->unsure = NULL;
		settle(s);
	}
	s->writing = false;
	s->m->under_way--;
	if (result == STORE_OK)
		flush(s);
	struct manager *m = s->m;
	server_let_go(s);
	manager_idle(m);
}

static void flush(struct server *s)
{
	if (s->writing || s->gone || !s->doc || s->stored_version == s->version)
		return;
	s->writing = true;
	s->m->under_way++;
	s->writing_version = s->version;
	s->writing_status = s->status;
	struct store_op op = { STORE_REPLACE, COL_SERVERS, s->id, s->stored_version, s->doc };
	store_write(s->m->env.store, &op, 1, flushed, s);
}

void server_let_go(struct server *s)
{
	if (s->running || !list_empty(&s->tasks) || s->writing)
		return;
	if (s->gone) {
		server_free(s);
		return;
	}
	if (s->stored_version == s->version && list_empty(&s->waiters)) {
		json_decref(s->doc);
		s->doc = NULL;
	}
}

/* A new document in place of the present one: documents are shared with the store's cache and never changed. */
static void take_over(struct server *s, json_t *consume)
{
	doc_set_int(consume, "version", ++s->version);
	doc_set_time(consume, "updated_at", clock_wall_ms());
	doc_set_str(consume, "host", place_host(s->m, s->place->name));
	json_decref(s->doc);
	s->doc = consume;
}

static void stamp(json_t *doc, enum server_status from, enum server_status to, int64_t now)
{
	if (to == SERVER_RUNNING && from != SERVER_STOPPING)
		doc_set_time(doc, "started_at", now);
	if (to == SERVER_RUNNING && from == SERVER_STARTING)
		doc_set_bool(doc, "pending_restart", false);
	if (to == SERVER_STOPPED || to == SERVER_FAILED)
		doc_set_time(doc, "stopped_at", now);
	if (to == SERVER_STOPPED)
		doc_set_bool(doc, "pending_restart", false);
}

void server_forget(struct server *s)
{
	struct list *n;
	while ((n = list_take_first(&s->waiters))) {
		struct waiter *w = CONTAINER_OF(n, struct waiter, node);
		json_decref(w->data);
		free(w);
	}
}

bool server_enter(struct server *s, enum server_status to, const char *reason, json_t *extra)
{
	enum server_status from = s->status;
	if (s->gone || !s->doc || !server_status_legal(from, to)) {
		log_warn(SERVICE, "server %s cannot go from %s to %s", s->id, server_status_to_string(from),
			 server_status_to_string(to));
		json_decref(extra);
		return false;
	}
	json_t *doc = json_copy(s->doc);
	stamp(doc, from, to, clock_wall_ms());
	doc_set_str(doc, "status", server_status_to_string(to));
	doc_set_str(doc, "status_reason", reason);
	if (extra)
		json_object_update(doc, extra);
	json_decref(extra);
	server_count(s, to);
	servers_gauge(s->m);
	take_over(s, doc);

	struct waiter *w = XNEW(struct waiter);
	w->version = s->version;
	w->data = json_object();
	doc_set_str(w->data, "status", server_status_to_string(to));
	doc_set_str(w->data, "previous", server_status_to_string(from));
	doc_set_str(w->data, "reason", reason);
	doc_set_int(w->data, "version", s->version);
	list_append(&s->waiters, &w->node);
	log_info(SERVICE, "server %s is %s%s%s", s->id, server_status_to_string(to), reason ? ": " : "", reason ? reason : "");
	flush(s);
	return true;
}

void server_touch(struct server *s, const char *key, json_t *consume)
{
	if (s->gone || !s->doc || json_equal(json_object_get(s->doc, key), consume)) {
		json_decref(consume);
		return;
	}
	json_t *doc = json_copy(s->doc);
	doc_set(doc, key, consume);
	take_over(s, doc);
	flush(s);
}

void server_bump(struct server *s)
{
	take_over(s, json_copy(s->doc));
	flush(s);
}

void server_revert(struct server *s)
{
	struct waiter *w, *tmp;
	LIST_FOREACH_SAFE(w, tmp, &s->waiters, node) {
		list_remove(&w->node);
		json_decref(w->data);
		free(w);
	}
	loop_timer_free(s->retry);
	s->retry = NULL;
	s->strict = false;
	s->version = s->stored_version;
	json_decref(s->doc);
	s->doc = NULL;
	if (s->status != s->stored_status)
		server_count(s, s->stored_status);
}

void server_wait(struct server *s, server_durable done, void *arg)
{
	if (s->gone || s->stored_version == s->version) {
		done(s->gone ? -ERR_SERVER_NOT_FOUND : 0, arg);
		return;
	}
	struct waiter *w = XNEW(struct waiter);
	w->version = s->version;
	w->done = done;
	w->arg = arg;
	list_append(&s->waiters, &w->node);
	flush(s);
}

void server_written(struct server *s, json_t *consume, int64_t version)
{
	json_decref(s->doc);
	s->doc = consume;
	server_sync(s, s->doc);
	servers_gauge(s->m);
}
