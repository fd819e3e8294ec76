#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"
#include "roles/rdp-server-manager/claims.h"

#define RACES_MAX 8

/* PUT and PATCH: a merge patch onto the stored document, written with compare-and-swap. A race that the caller did not pin
 * with If-Match is run again on the new document. */
struct update {
	struct task *t;
	json_t *doc; /* as it shall be */
	bool renamed, old_claim_gone;
	char old_id[CLAIM_ID_SIZE], new_id[CLAIM_ID_SIZE];
};

static void apply(struct task *t);

static void over(struct update *w)
{
	json_decref(w->doc);
	free(w);
}

static void publish(struct server *s, const json_t *patch)
{
	json_t *data = json_object(), *fields = json_array(), *value;
	const char *key;
	json_object_foreach((json_t *)patch, key, value)
		json_array_append_new(fields, json_string(key));
	doc_set(data, "fields", fields);
	doc_set_int(data, "version", s->version);
	bus_publish(s->m->env.bus, "server.updated", s->id, s->owner->id, data);
}

static void told(UNUSED const struct reply *r, UNUSED void *arg)
{
}

/* What happens on it is told to its owner alone, and the agent is the one that tells. Away, it learns at the next start. */
static void tell_agent(struct server *s)
{
	agent_call(s->m, s->place->name, s->m->agent.start, NULL, NULL, server_spec(s->doc), NULL, told, NULL);
}

/* The change is in; the restart that it asks for follows on the strand. */
static void done(struct task *t)
{
	struct server *s = t->s;
	if (t->restart && s->status == SERVER_RUNNING && doc_bool(s->doc, "pending_restart", false)) {
		struct task *next = task_new(TAKE_PTR(t->call), run_start);
		next->replace = next->wait = true;
		task_queue(s, next);
	}
	task_answer(t, 200);
	task_end(t);
}

static void give_back_name(struct update *w)
{
	struct claims_back *b = XNEW(struct claims_back);
	b->store = w->t->s->m->env.store;
	b->version = claim_version(w->t->s->id);
	memcpy(b->name_id, w->new_id, sizeof b->name_id);
	claims_give_back(b);
}

static void reread(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct task *t = arg;
	json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc) {
		server_written(t->s, doc, d->version);
		apply(t);
	} else if (result == STORE_MISSING) {
		server_drop(t->s);
		task_fail(t, ERR_SERVER_NOT_FOUND, NULL);
	} else {
		store_fail(TAKE_PTR(t->call), err, ERR_SERVER_UPDATE);
		task_end(t);
	}
}

static void write_it(struct update *w);

static void written(enum store_result result, size_t index, int err, void *arg)
{
	struct update *w = arg;
	struct task *t = w->t;
	struct server *s = t->s;
	size_t replace = w->renamed ? 1 : 0;
	if (result == STORE_OK) {
		bool given = !str_eq(s->owner->id, doc_str(w->doc, "user_id", ""));
		server_written(s, json_incref(w->doc), doc_int(w->doc, "version", 0));
		publish(s, t->body);
		if (given && s->status == SERVER_RUNNING)
			tell_agent(s);
		over(w);
		done(t);
		return;
	}
	if (index > replace && result != STORE_FAILED) { /* its old name's claim is not there: go without */
		w->old_claim_gone = true;
		write_it(w);
		return;
	}
	if (w->renamed && index == replace && !store_unsure(err))
		give_back_name(w);
	if (w->renamed && index == 0 && result == STORE_EXISTS) {
		task_fail(t, ERR_CONFLICT, "%s has a server of that name already; choose another name",
			  doc_str(w->doc, "user_id", "its owner"));
	} else if (result == STORE_FAILED) {
		store_fail(TAKE_PTR(t->call), err, ERR_SERVER_UPDATE);
		task_end(t);
	} else if (t->if_match || ++t->tries > RACES_MAX) {
		task_fail(t, t->if_match ? ERR_STALE : ERR_BUSY, NULL);
	} else {
		store_get(s->m->env.store, COL_SERVERS, s->id, reread, t);
	}
	over(w);
}

static void write_it(struct update *w)
{
	struct server *s = w->t->s;
	struct store_op ops[3];
	size_t n = 0;
	_cleanup_(doc_unrefp) json_t *claim = NULL;
	if (w->renamed) {
		claim = claim_name_doc(s->id, doc_str(w->doc, "user_id", ""), doc_str(w->doc, "name", ""), clock_wall_ms());
		ops[n++] = (struct store_op){ STORE_INSERT, COL_NAMES, w->new_id, 0, claim };
	}
	ops[n++] = (struct store_op){ STORE_REPLACE, COL_SERVERS, s->id, s->stored_version, w->doc };
	if (w->renamed && !w->old_claim_gone)
		ops[n++] = (struct store_op){ STORE_DELETE, COL_NAMES, w->old_id, claim_version(s->id), NULL };
	store_write(s->m->env.store, ops, n, written, w);
}

/* What is changed, as it will be: what stands there already is not held against a change of something else, though the
 * host or the range may be another by now. */
static json_t *changed(const json_t *doc, const json_t *patch)
{
	json_t *out = json_object(), *value;
	const char *key;
	json_object_foreach((json_t *)patch, key, value)
		if (json_object_get(doc, key))
			json_object_set(out, key, json_object_get(doc, key));
	return out;
}

/* Whether the change may be made; false when it was answered. */
static bool allowed(struct task *t, const json_t *doc)
{
	struct server *s = t->s;
	struct faults f = { 0 };
	if (t->if_match && t->if_match != s->version) {
		task_fail(t, ERR_STALE, NULL);
		return false;
	}
	server_check_admin(call_caller(t->call), t->body, &f);
	_cleanup_(doc_unrefp) json_t *now = changed(doc, t->body);
	server_check(s->m, now, s->place->name, &f);
	if (faults_any(&f)) {
		call_fail_details(TAKE_PTR(t->call), ERR_INVALID, faults_take(&f), NULL);
		task_end(t);
		return false;
	}
	const char *user = doc_str(doc, "user_id", "");
	if (!str_eq(user, s->owner->id) && quota_definition(s->m, t->call, user)) {
		t->call = NULL;
		task_end(t);
		return false;
	}
	return true;
}

static void apply(struct task *t)
{
	struct server *s = t->s;
	_cleanup_(doc_unrefp) json_t *doc = server_merge(s->doc, t->body);
	if (!allowed(t, doc))
		return;
	if (json_equal(doc, s->doc)) {
		done(t);
		return;
	}
	struct update *w = XNEW(struct update);
	w->t = t;
	claim_name_id(w->old_id, s->owner->id, doc_str(s->doc, "name", ""));
	claim_name_id(w->new_id, doc_str(doc, "user_id", ""), doc_str(doc, "name", ""));
	w->renamed = !str_eq(w->old_id, w->new_id);
	if (s->status == SERVER_RUNNING && server_needs_restart(s->doc, doc))
		doc_set_bool(doc, "pending_restart", true);
	doc_set_int(doc, "version", s->version + 1);
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
	store_fail(TAKE_PTR(t->call), err, ERR_SERVER_UPDATE);
	task_end(t);
}

static void run_update(struct task *t)
{
	server_wait(t->s, settled, t);
}

void op_update(struct call *c, void *m)
{
	struct server *s = server_of(m, c, op_update);
	if (!s)
		return;
	struct task *t = task_new(c, run_update);
	t->body = json_incref(call_body(c));
	t->if_match = call_if_match(c);
	t->restart = doc_bool(call_query(c), "restart", false);
	task_queue(s, t);
}
