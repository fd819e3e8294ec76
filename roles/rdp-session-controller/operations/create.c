#include "roles/rdp-session-controller/operations/create.h"

#include <stdio.h>

#include "lucid/str.h"
#include "roles/rdp-session-controller/session/define.h"
#include "roles/rdp-session-controller/session/quotas.h"
#include "roles/rdp-session-controller/session/timeline.h"

struct declaring {
	struct controller *c;
	struct call *call;
	struct session *s; /* unborn, but counted, so that quotas hold while the store writes */
	json_t *doc;
	int64_t has; /* sessions of the user in the store */
};

static const char *const live_states[] = { "created", "active", "disconnected", "orphaned", NULL };

static void declaring_end(struct declaring *d)
{
	struct controller *c = d->c;
	json_decref(d->doc);
	free(d);
	objects_release(c->objects);
}

static void declaring_give_up(struct declaring *d)
{
	object_drop(&d->s->o);
	declaring_end(d);
}

static void declared(struct declaring *d)
{
	struct session *s = d->s;
	char path[64];
	snprintf(path, sizeof path, "/api/v1/sessions/%s", s->o.id);
	s->o.unborn = false;
	objects_figures(s->o.set);
	metric_add(d->c->metrics.created, 1);
	object_publish(&s->o, "created", json_incref(d->doc));
	timeline_add(s, d->doc, "created", call_caller(d->call)->sub);
	call_set_location(d->call, path);
	call_set_version(d->call, 1);
	call_ok(d->call, json_incref(d->doc));
	declaring_end(d);
}

static void declaration_stored(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct declaring *d = arg;
	if (result == STORE_OK) {
		declared(d);
		return;
	}
	objects_fail_call(d->c->objects, d->call, err, ERR_INTERNAL);
	declaring_give_up(d);
}

static void store_declaration(struct declaring *d)
{
	struct store_op op = { STORE_INSERT, COL_SESSIONS, d->s->o.id, 0, d->doc };
	store_write(d->c->env.store, &op, 1, declaration_stored, d);
}

/* With several controllers, the records here may be behind: the store counts. */
static void count_live(struct declaring *d, bool of_user, store_list_done done)
{
	struct store_query q = { .filters = { { .path = "status", .cmp = STORE_IN, .list = live_states },
					      { .path = "user_id", .cmp = STORE_EQ, .text = d->s->o.owner->id } },
				 .nfilters = of_user ? 2 : 1, .want_total = true };
	store_list(d->c->env.store, COL_SESSIONS, &q, done, d);
}

static void all_counted(enum store_result result, UNUSED struct blob *const *docs, UNUSED size_t n, int64_t total, int err, void *arg)
{
	struct declaring *d = arg;
	if (result == STORE_OK && session_quota_allows(d->c, d->call, d->s->o.owner->id, d->has, total)) {
		store_declaration(d);
		return;
	}
	if (result != STORE_OK)
		objects_fail_call(d->c->objects, d->call, err, ERR_INTERNAL);
	declaring_give_up(d);
}

static void user_counted(enum store_result result, UNUSED struct blob *const *docs, UNUSED size_t n, int64_t total, int err, void *arg)
{
	struct declaring *d = arg;
	if (result == STORE_OK) {
		d->has = total;
		count_live(d, false, all_counted);
		return;
	}
	objects_fail_call(d->c->objects, d->call, err, ERR_INTERNAL);
	declaring_give_up(d);
}

static void declare(struct controller *c, struct call *call, struct watched *w)
{
	const json_t *body = call_body(call);
	const char *user = doc_str(body, "user_id", call_caller(call)->sub);
	char id[SESSION_ID_SIZE];
	if (!session_quota_allows(c, call, user, (int64_t)sessions_live(c, user), (int64_t)sessions_live(c, NULL)))
		return;
	struct declaring *d = XNEW(struct declaring);
	session_id_new(id);
	*d = (struct declaring){ .c = c, .call = call, .doc = session_define(w, id, user, body) };
	objects_hold(c->objects);
	d->s = (struct session *)objects_add(c->objects, d->doc);
	if (!d->s) {
		call_fail(call, ERR_QUOTA, "too many sessions are stored; lower SESSION_HISTORY_DAYS");
		declaring_end(d);
		return;
	}
	d->s->o.unborn = true;
	if (c->one_host)
		store_declaration(d);
	else
		count_live(d, true, user_counted);
}

/* --- the server, as the caller sees it */

struct asking {
	struct controller *c;
	struct call *call;
};

static void session_server_got(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct asking *a = arg;
	struct controller *c = a->c;
	_cleanup_(doc_unrefp) json_t *doc = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : json_incref(r->doc);
	struct watched *w = r->err ? NULL : watched_of(c, doc_str(doc, "server_id", ""));
	if (r->err == ERR_SERVER_NOT_FOUND) {
		call_fail_reply(a->call, r);
	} else if (r->err) {
		call_fail(a->call, r->err, "rdp-server-manager does not say whether the server exists (%s); retry later", r->message);
	} else if (!w || objects_draining(c->objects)) {
		call_fail(a->call, ERR_UNAVAILABLE, NULL);
	} else {
		watched_learn(w, doc);
		if (server_quota_allows(w, a->call, doc))
			declare(c, a->call, w);
	}
	objects_release(c->objects);
}

static void check_declaration(const struct caller *caller, const json_t *body, struct faults *f)
{
	if (doc_str(body, "user_id", NULL) && !caller_is_admin(caller) && !str_eq(doc_str(body, "user_id", ""), caller->sub))
		faults_add(f, "user_id", "only an admin may declare a session for another user");
	session_check_metadata(body, doc_str(body, "user_id", caller->sub), f);
	if (!*doc_str(body, "user_id", caller->sub))
		faults_add(f, "user_id", "is required: the token names no user (claim sub) who could own the session");
	if (json_is_object(json_object_get(body, "rdp_config")))
		faults_add(f, "rdp_config", "sessions on RDP hosts outside this installation are not available yet; name a server_id");
	else if (!doc_str(body, "server_id", NULL))
		faults_add(f, "server_id", "is required: the server that the session is for");
}

void op_session_create(struct call *call, void *ctx)
{
	struct controller *c = ctx;
	const struct caller *caller = call_caller(call);
	struct faults f = { 0 };
	if (!objects_ready(c->objects, call, op_session_create))
		return;
	if (!caller->can_create_sessions) {
		call_fail(call, ERR_FORBIDDEN, "this token may not create sessions (claim can_create_sessions)");
		return;
	}
	check_declaration(caller, call_body(call), &f);
	if (faults_any(&f)) {
		call_fail_details(call, ERR_INVALID, faults_take(&f), NULL);
		return;
	}
	struct asking *a = XNEW(struct asking);
	*a = (struct asking){ c, call };
	struct call_args args = { 0 };
	call_onward(call, &args);
	args.op = c->ops.server;
	args.params[0] = doc_str(call_body(call), "server_id", "");
	args.deadline_ms = (unsigned)MIN(MAX((int64_t)args.deadline_ms / 2, 1), 10000);
	objects_hold(c->objects);
	bus_call(c->env.bus, &args, session_server_got, a);
}
