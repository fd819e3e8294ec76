#include "roles/rdp-session-controller/session/timeline_sweep.h"

#include <stdio.h>

#include "lucid/str.h"
#include "roles/rdp-session-controller/session/session.h"

#define EVERY_MS (60 * 60 * 1000)
#define SOON_MS 1000
#define PAUSE_MS 10 /* between pages: a pass reads the timelines of the whole history */
#define PAGE 100

struct timeline_sweep {
	struct controller *c;
	struct loop_timer *timer, *pause;
	bool running;
	json_t *page; /* the ids of the entries that are looked at, in their order: those of a session follow each other */
	size_t at;
	char from[STORE_ID_MAX + 2];	/* the next page begins with this id or the one after it */
	char session_id[SESSION_ID_SIZE]; /* of the entry at `at` */
	size_t deleted;
};

static void entries_next(struct timeline_sweep *w);

static void entries_end(struct timeline_sweep *w)
{
	if (w->deleted)
		log_info(SERVICE, "deleted %zu entries of the timelines of sessions that do not exist any more", w->deleted);
	json_decref(w->page);
	w->page = NULL;
	w->running = false;
	objects_release(w->c->objects);
}

static const char *entry_at(const struct timeline_sweep *w, size_t i)
{
	const char *id = json_string_value(json_array_get(w->page, i));
	return id ? id : "";
}

/* The id of an entry begins with that of its session and a colon. */
static bool entry_is_of(const char *entry, const char *session_id)
{
	size_t len = strlen(session_id);
	return strncmp(entry, session_id, len) == 0 && entry[len] == ':';
}

static bool entry_session(const char *entry, char ret[SESSION_ID_SIZE])
{
	size_t len = strcspn(entry, ":");
	if (!entry[len] || len >= SESSION_ID_SIZE)
		return false;
	memcpy(ret, entry, len);
	ret[len] = '\0';
	return true;
}

/* Its session exists: no further entries of it are read. */
static void entries_skip(struct timeline_sweep *w)
{
	while (w->at < json_array_size(w->page) && entry_is_of(entry_at(w, w->at), w->session_id))
		w->at++;
	snprintf(w->from, sizeof w->from, "%s;", w->session_id); /* ';' follows ':' */
}

static void entries_removed(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct timeline_sweep *w = arg;
	if (result == STORE_FAILED)
		entries_end(w);
	else
		entries_next(w); /* missing: another process has deleted one, and the next pass looks at the others */
}

static void entries_remove(struct timeline_sweep *w)
{
	struct store_op ops[STORE_MAX_OPS];
	size_t n = 0;
	for (; n < STORE_MAX_OPS && w->at < json_array_size(w->page) && entry_is_of(entry_at(w, w->at), w->session_id); w->at++)
		ops[n++] = (struct store_op){ STORE_DELETE, COL_SESSION_EVENTS, entry_at(w, w->at), 0, NULL };
	w->deleted += n;
	store_write(w->c->env.store, ops, n, entries_removed, w);
}

static void session_of_entries(enum store_result result, UNUSED const struct store_doc *d, UNUSED int err, void *arg)
{
	struct timeline_sweep *w = arg;
	if (objects_draining(w->c->objects) || result == STORE_FAILED) {
		entries_end(w);
	} else if (result == STORE_MISSING) {
		entries_remove(w);
	} else {
		entries_skip(w);
		entries_next(w);
	}
}

static void entries_next(struct timeline_sweep *w)
{
	struct controller *c = w->c;
	size_t n = json_array_size(w->page);
	if (objects_draining(c->objects)) {
		entries_end(w);
		return;
	}
	while (w->at < n) {
		snprintf(w->from, sizeof w->from, "%s!", entry_at(w, w->at)); /* no id continues like this */
		if (!entry_session(entry_at(w, w->at), w->session_id)) {
			w->at++;
		} else if (objects_record(c->objects, w->session_id)) {
			entries_skip(w);
		} else {
			store_get(c->env.store, COL_SESSIONS, w->session_id, session_of_entries, w);
			return;
		}
	}
	if (n == PAGE)
		loop_timer_set(w->pause, PAUSE_MS);
	else
		entries_end(w);
}

static void entries_listed(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct timeline_sweep *w = arg;
	json_decref(w->page);
	w->page = json_array();
	w->at = 0;
	for (size_t i = 0; result == STORE_OK && i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		json_array_append_new(w->page, json_string(doc_str(doc, "entry_id", "")));
	}
	entries_next(w);
}

static void entries_page(void *arg)
{
	struct timeline_sweep *w = arg;
	struct store_query q = { .filters = { { .path = "id", .cmp = STORE_GE, .text = w->from } }, .nfilters = 1, .sort = { "id", false }, .limit = PAGE };
	store_list(w->c->env.store, COL_SESSION_EVENTS, &q, entries_listed, w);
}

static void entries_due(void *arg)
{
	struct timeline_sweep *w = arg;
	struct controller *c = w->c;
	loop_timer_set(w->timer, EVERY_MS);
	if (w->running || !objects_loaded(c->objects) || objects_draining(c->objects) || !object_group_leads(objects_group(c->objects, "")))
		return;
	w->running = true;
	w->from[0] = '\0';
	w->deleted = 0;
	objects_hold(c->objects);
	entries_page(w);
}

void timeline_sweep_begin(struct controller *c)
{
	struct timeline_sweep *w = XNEW(struct timeline_sweep);
	w->c = c;
	w->timer = loop_timer_new(c->env.loop, entries_due, w);
	w->pause = loop_timer_new(c->env.loop, entries_page, w);
	c->timelines = w;
	loop_timer_set(w->timer, EVERY_MS);
}

void timeline_sweep_soon(struct controller *c)
{
	loop_timer_set(c->timelines->timer, SOON_MS);
}

void timeline_sweep_end(struct controller *c)
{
	loop_timer_free(TAKE_PTR(c->timelines->timer));
	loop_timer_free(TAKE_PTR(c->timelines->pause));
	if (!c->timelines->running)
		free(TAKE_PTR(c->timelines));
}
