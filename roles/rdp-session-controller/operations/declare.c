#include "roles/rdp-session-controller/operations/declare.h"

#include <stdio.h>

#include "lucid/str.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/foreign/secret.h"
#include "roles/rdp-session-controller/session/define.h"
#include "roles/rdp-session-controller/session/quotas.h"
#include "roles/rdp-session-controller/session/timeline.h"

struct declaring {
	struct controller *c;
	struct call *call;
	struct session *s; /* unborn, but counted, so that quotas hold while the store writes */
	json_t *doc;
	json_t *secret; /* a password, as it is stored; NULL: none */
	int64_t has; /* sessions of the user in the store */
};

static const char *const live_states[] = { "created", "active", "disconnected", "orphaned", NULL };

static void declaring_end(struct declaring *d)
{
	struct controller *c = d->c;
	json_decref(d->doc);
	json_decref(d->secret);
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
	struct store_op ops[2];
	size_t n = 0;
	if (d->secret) /* first: without its session it is swept */
		ops[n++] = (struct store_op){ STORE_PUT, COL_SESSION_SECRETS, d->s->o.id, 0, d->secret };
	ops[n++] = (struct store_op){ STORE_INSERT, COL_SESSIONS, d->s->o.id, 0, d->doc };
	store_write(d->c->env.store, ops, n, declaration_stored, d);
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

void session_declare(struct controller *c, struct call *call, struct watched *w)
{
	const json_t *body = call_body(call);
	const char *user = doc_str(body, "user_id", call_caller(call)->sub), *password = foreign_password(body);
	char id[SESSION_ID_SIZE];
	if (!session_quota_allows(c, call, user, (int64_t)sessions_live(c, user), (int64_t)sessions_live(c, NULL)))
		return;
	struct declaring *d = XNEW(struct declaring);
	session_id_new(id);
	*d = (struct declaring){ .c = c, .call = call, .doc = session_define(w, id, user, body) };
	if (password)
		d->secret = secret_doc(c, id, password, 1);
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
