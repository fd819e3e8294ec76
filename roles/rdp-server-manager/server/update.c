#include "roles/rdp-server-manager/server/update.h"

#include "lucid/clock.h"
#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/port/claims.h"
#include "roles/rdp-server-manager/profiles.h"
#include "roles/rdp-server-manager/server/definition.h"
#include "roles/rdp-server-manager/server/quotas.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/start.h"
#include "roles/rdp-server-manager/server/states.h"

#define RACES_MAX 8

/* PUT and PATCH: applies a merge patch to the stored document and writes it with compare-and-swap. After a lost race the patch is applied to
 * the new document, unless the caller sent If-Match. */
struct update {
	struct task *t;
	json_t *doc; /* the document after the change */
	json_t *fields; /* names of the changed members */
	bool renamed, old_claim_gone;
	char old_id[CLAIM_ID_SIZE], new_id[CLAIM_ID_SIZE];
};

static void apply(struct task *t);

static void update_end(struct update *w)
{
	json_decref(w->doc);
	json_decref(w->fields);
	free(w);
}

static void publish(struct server *s, json_t *fields)
{
	json_t *data = json_object();
	doc_set(data, "fields", json_incref(fields));
	doc_set_int(data, "version", s->o.version);
	bus_publish(server_manager(s)->env.bus, "server.updated", s->o.id, s->o.owner->id, data);
}

static void told(UNUSED const struct reply *r, UNUSED void *arg)
{
}

/* The agent addresses its events to the owner, so it must learn of a new one. If it is unreachable, it learns of it at the next start. */
static void tell_agent(struct server *s)
{
	agent_call(server_manager(s), server_place(s)->g.name, server_manager(s)->agent.start, NULL, NULL, server_spec(s->o.doc), NULL, told, NULL);
}

/* The change is written; a requested restart is queued on the strand. */
static void done(struct task *t)
{
	struct server *s = task_server(t);
	if (t->restart && s->o.state == SERVER_RUNNING && doc_bool(s->o.doc, "pending_restart", false)) {
		struct task *next = task_new(server_manager(s), TAKE_PTR(t->on.call), run_start);
		next->replace = next->on.wait = true;
		object_queue(&s->o, &next->on);
	}
	object_task_answer(&t->on, 200);
	object_task_end(&t->on);
}

static void give_back_name(struct update *w)
{
	struct claims_back *b = XNEW(struct claims_back);
	b->store = server_manager(task_server(w->t))->env.store;
	b->version = claim_version(task_server(w->t)->o.id);
	memcpy(b->name_id, w->new_id, sizeof b->name_id);
	claims_give_back(b);
}

static void reread(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct task *t = arg;
	json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc) {
		object_take_over(&task_server(t)->o, doc);
		apply(t);
	} else if (result == STORE_MISSING) {
		object_drop(&task_server(t)->o);
		object_task_fail(&t->on, ERR_SERVER_NOT_FOUND, NULL);
	} else {
		object_task_fail_store(&t->on, err, ERR_SERVER_UPDATE);
	}
}

static void write_it(struct update *w);

static void written(enum store_result result, size_t index, int err, void *arg)
{
	struct update *w = arg;
	struct task *t = w->t;
	struct server *s = task_server(t);
	size_t replace = w->renamed ? 1 : 0;
	if (result == STORE_OK) {
		/* what a running instance takes over at once */
		bool told = !str_eq(s->o.owner->id, doc_str(w->doc, "user_id", "")) || !json_equal(doc_get(s->o.doc, "recording"), doc_get(w->doc, "recording"));
		object_take_over(&s->o, json_incref(w->doc));
		publish(s, w->fields);
		if (told && s->o.state == SERVER_RUNNING)
			tell_agent(s);
		update_end(w);
		done(t);
		return;
	}
	if (index > replace && result != STORE_FAILED) { /* the claim of the old name is missing: write again without deleting it */
		w->old_claim_gone = true;
		write_it(w);
		return;
	}
	if (w->renamed && index == replace && !store_unsure(err))
		give_back_name(w);
	if (w->renamed && index == 0 && result == STORE_EXISTS) {
		object_task_fail(&t->on, ERR_CONFLICT, "%s already has a server with this name; choose another name",
			  doc_str(w->doc, "user_id", "its owner"));
	} else if (result == STORE_FAILED) {
		object_task_fail_store(&t->on, err, ERR_SERVER_UPDATE);
	} else if (t->if_match || ++t->tries > RACES_MAX) {
		object_task_fail(&t->on, t->if_match ? ERR_STALE : ERR_BUSY, NULL);
	} else {
		store_get(server_manager(s)->env.store, COL_SERVERS, s->o.id, reread, t);
	}
	update_end(w);
}

static void write_it(struct update *w)
{
	struct server *s = task_server(w->t);
	struct store_op ops[3];
	size_t n = 0;
	_cleanup_(doc_unrefp) json_t *claim = NULL;
	if (w->renamed) {
		claim = claim_name_doc(s->o.id, doc_str(w->doc, "user_id", ""), doc_str(w->doc, "name", ""), clock_wall_ms());
		ops[n++] = (struct store_op){ STORE_INSERT, COL_NAMES, w->new_id, 0, claim };
	}
	ops[n++] = (struct store_op){ STORE_REPLACE, COL_SERVERS, s->o.id, s->o.stored_version, w->doc };
	if (w->renamed && !w->old_claim_gone)
		ops[n++] = (struct store_op){ STORE_DELETE, COL_NAMES, w->old_id, claim_version(s->o.id), NULL };
	store_write(server_manager(s)->env.store, ops, n, written, w);
}

/* The changed members with their new values. Only these are checked: an existing value must not block a change of another member, even if
 * host or port range have changed since. */
static json_t *changed(const json_t *before, const json_t *after)
{
	json_t *out = json_object(), *value;
	const char *key;
	json_object_foreach((json_t *)after, key, value)
		if (!json_equal(value, json_object_get(before, key)))
			json_object_set(out, key, value);
	return out;
}

static json_t *keys_of(const json_t *doc)
{
	json_t *list = json_array(), *value;
	const char *key;
	json_object_foreach((json_t *)doc, key, value)
		json_array_append_new(list, json_string(key));
	return list;
}

static const char *profile_of(const json_t *doc)
{
	return doc_str(json_object_get(doc, "desktop"), "profile", "");
}

/* True if the change is allowed; otherwise the call was answered. Consumes the faults. */
static bool allowed(struct task *t, const json_t *doc, const json_t *now, struct faults *f)
{
	struct server *s = task_server(t);
	if (t->if_match && t->if_match != s->o.version) {
		faults_done(f);
		object_task_fail(&t->on, ERR_STALE, NULL);
		return false;
	}
	server_check(server_manager(s), now, server_place(s)->g.name, f);
	if (!str_eq(profile_of(s->o.doc), profile_of(doc)))
		server_check_profile(server_manager(s), doc, server_place(s)->g.name, f);
	if (faults_any(f)) {
		call_fail_details(TAKE_PTR(t->on.call), ERR_INVALID, faults_take(f), NULL);
		object_task_end(&t->on);
		return false;
	}
	const char *user = doc_str(doc, "user_id", "");
	if (!str_eq(user, s->o.owner->id) && quota_definition(server_manager(s), t->on.call, user)) {
		t->on.call = NULL;
		object_task_end(&t->on);
		return false;
	}
	return true;
}

static void apply(struct task *t)
{
	struct server *s = task_server(t);
	struct faults f = { 0 };
	_cleanup_(doc_unrefp) json_t *patch =
		shape_unchanged(call_op(t->on.call)->in, t->body, s->o.doc, caller_is_admin(call_caller(t->on.call)), &f);
	_cleanup_(doc_unrefp) json_t *doc = server_merge(s->o.doc, patch);
	_cleanup_(doc_unrefp) json_t *now = changed(s->o.doc, doc);
	if (!allowed(t, doc, now, &f))
		return;
	if (!json_object_size(now)) {
		done(t);
		return;
	}
	struct update *w = XNEW(struct update);
	w->t = t;
	w->fields = keys_of(now);
	claim_name_id(w->old_id, s->o.owner->id, doc_str(s->o.doc, "name", ""));
	claim_name_id(w->new_id, doc_str(doc, "user_id", ""), doc_str(doc, "name", ""));
	w->renamed = !str_eq(w->old_id, w->new_id);
	if (s->o.state == SERVER_RUNNING && server_needs_restart(s->o.doc, doc))
		doc_set_bool(doc, "pending_restart", true);
	doc_set_int(doc, "version", s->o.version + 1);
	doc_set_time(doc, "updated_at", clock_wall_ms());
	w->doc = TAKE_PTR(doc);
	write_it(w);
}

static void settled(int err, void *arg)
{
	struct task *t = arg;
	if (!err) {
		apply(t);
		return;
	}
	object_task_fail_store(&t->on, err, ERR_SERVER_UPDATE);
}

static void run_update(struct object_task *on)
{
	struct task *t = task_of(on);
	object_wait(&task_server(t)->o, settled, t);
}

static bool changes_profile(const struct server *s, const json_t *body)
{
	const json_t *desktop = json_object_get(body, "desktop");
	return desktop && (!json_is_object(desktop) || json_object_get(desktop, "profile")) && !str_eq(profile_of(s->o.doc), profile_of(body));
}

void op_update(struct call *c, void *m)
{
	const json_t *body = call_body(c);
	struct server *s = server_of_call(m, c, op_update);
	if (!s || (changes_profile(s, body) && !profiles_fresh(m, c, body, op_update)))
		return;
	struct task *t = task_new(m, c, run_update);
	t->body = json_incref((json_t *)(uintptr_t)body);
	t->if_match = call_if_match(c);
	t->restart = doc_bool(call_query(c), "restart", false);
	object_queue(&s->o, &t->on);
}
