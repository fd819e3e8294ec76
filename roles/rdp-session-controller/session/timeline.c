#include "roles/rdp-session-controller/session/timeline.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/operations/read.h"

/* The ids of the entries of a session are in the order of the versions of the session that they tell of, whatever the clock says: after the
 * colon, 'v', which follows the digits of ids of an older version of this program, and the version. */
#define ENTRY_ID_SIZE 64

/* --- writing */

struct entry {
	struct controller *c;
	char id[ENTRY_ID_SIZE], session_id[SESSION_ID_SIZE];
};

static void entry_end(struct entry *e)
{
	struct objects *set = e->c->objects;
	free(e);
	objects_release(set);
}

static void entry_removed(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct entry *e = arg;
	if (result == STORE_FAILED)
		log_warn(SERVICE, "an entry of the timeline of session %s, which was deleted, stays in the store: %s", e->session_id, err_text(err));
	entry_end(e);
}

static void entry_session_read(enum store_result result, UNUSED const struct store_doc *d, UNUSED int err, void *arg)
{
	struct entry *e = arg;
	struct store_op op = { STORE_DELETE, COL_SESSION_EVENTS, e->id, 0, NULL };
	if (result == STORE_MISSING)
		store_write(e->c->env.store, &op, 1, entry_removed, e);
	else
		entry_end(e);
}

/* The session may have been deleted while the entry was under way, in any process. The deletion then either saw the entry, or preceded this read. */
static void entry_written(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct entry *e = arg;
	if (result == STORE_OK) {
		store_get(e->c->env.store, COL_SESSIONS, e->session_id, entry_session_read, e);
		return;
	}
	log_warn(SERVICE, "an entry of the timeline of a session could not be stored: %s", err_text(err));
	entry_end(e);
}

void timeline_note(struct controller *c, const json_t *doc, const char *event, const char *reason, const char *by)
{
	static const char *const same[] = { "session_id", "status", "client_address", "username", "display" };
	static unsigned written; /* orders entries of the same version and millisecond */
	struct entry *e = XNEW(struct entry);
	char random[9];
	int64_t now_ms = clock_wall_ms();
	_cleanup_(doc_unrefp) json_t *entry = json_object();
	*e = (struct entry){ .c = c };
	str_copy(e->session_id, sizeof e->session_id, doc_str(doc, "session_id", ""));
	doc_set_time(entry, "time", now_ms);
	doc_set_str(entry, "event", event);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(entry, same[i], json_object_get(doc, same[i]));
	doc_set_str(entry, "reason", reason);
	doc_set_str(entry, "by", *by ? by : NULL);
	doc_set_int(entry, "version", 1);
	id_hex(random, 4);
	snprintf(e->id, sizeof e->id, "%s:v%010lld:%013lld:%06x:%s", e->session_id, (long long)doc_int(doc, "version", 0), (long long)now_ms,
		 written++ & 0xffffff, random);
	doc_set_str(entry, "entry_id", e->id);
	struct store_op op = { STORE_PUT, COL_SESSION_EVENTS, e->id, 0, entry };
	objects_hold(c->objects);
	store_write(c->env.store, &op, 1, entry_written, e);
}

void timeline_add(struct session *s, const json_t *doc, const char *event, const char *by)
{
	timeline_note(session_controller(s), doc, event, doc_str(doc, "status_reason", NULL), by);
}

void timeline_entered(struct session *s, unsigned status)
{
	const json_t *doc = s->o.doc;
	bool again = doc_int(json_object_get(doc, "statistics"), "connections", 0) > 1;
	const char *event = status == SESSION_ACTIVE ? (again ? "reconnected" : "started") : session_states[status].name;
	if (doc && s->o.state == status) /* otherwise another change followed at once, with an entry of its own */
		timeline_add(s, doc, event, session_status_ended(status) ? doc_str(doc, "ended_by", "") : "");
}

/* --- deleting */

struct forgetting {
	struct controller *c;
	struct objects *set;
	char id[SESSION_ID_SIZE];
};

static void forget_some(struct forgetting *f);

static void forgetting_end(struct forgetting *f)
{
	struct objects *set = f->set;
	free(f);
	objects_release(set);
}

static void some_forgotten(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct forgetting *f = arg;
	if (result == STORE_OK || result == STORE_MISSING) /* missing: its writer has deleted an entry (entry_session_read) */
		forget_some(f);
	else
		forgetting_end(f);
}

static void some_found(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct forgetting *f = arg;
	struct store_op ops[STORE_MAX_OPS];
	json_t *parsed = json_array();
	size_t used = 0;
	for (size_t i = 0; result == STORE_OK && i < n && used < STORE_MAX_OPS; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		json_array_append_new(parsed, doc ? doc : json_null());
		if (doc)
			ops[used++] = (struct store_op){ STORE_DELETE, COL_SESSION_EVENTS, doc_str(doc, "entry_id", ""), 0, NULL };
	}
	if (used)
		store_write(f->c->env.store, ops, used, some_forgotten, f);
	else
		forgetting_end(f);
	json_decref(parsed);
}

static void forget_some(struct forgetting *f)
{
	struct store_query q = { .filters = { { .path = "session_id", .cmp = STORE_EQ, .text = f->id } }, .nfilters = 1, .limit = STORE_MAX_OPS };
	store_list(f->c->env.store, COL_SESSION_EVENTS, &q, some_found, f);
}

void timeline_forget(struct session *s)
{
	struct forgetting *f = XNEW(struct forgetting);
	*f = (struct forgetting){ .c = session_controller(s), .set = s->o.set };
	str_copy(f->id, sizeof f->id, s->o.id);
	objects_hold(f->set);
	forget_some(f);
}

/* --- reading */

static void timeline_read(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct session_reading *r = arg;
	if (result != STORE_OK) {
		objects_fail_call(r->c->objects, r->call, err, ERR_INTERNAL);
		session_read_end(r);
		return;
	}
	json_t *out = json_object(), *list = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *entry = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		static const char *const internal[] = { "session_id", "entry_id", "version" };
		for (size_t k = 0; entry && k < ARRAY_LEN(internal); k++)
			json_object_del(entry, internal[k]);
		if (entry)
			json_array_append_new(list, entry);
	}
	json_object_set(out, "session_id", json_object_get(r->doc, "session_id"));
	doc_set(out, "events", list);
	call_ok(r->call, out);
	session_read_end(r);
}

static void read_timeline(struct session_reading *r)
{
	struct store_query q = { .filters = { { .path = "session_id", .cmp = STORE_EQ, .text = doc_str(r->doc, "session_id", "") } },
				 .nfilters = 1, .sort = { "id", false }, .limit = TIMELINE_MAX };
	store_list(r->c->env.store, COL_SESSION_EVENTS, &q, timeline_read, r);
}

void op_session_timeline(struct call *c, void *controller)
{
	session_read_begin(controller, c, read_timeline);
}
