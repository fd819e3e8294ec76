#include "roles/rdp-session-controller/operations/read.h"

#include "lucid/str.h"

static bool doc_visible(const struct caller *c, const json_t *doc)
{
	return caller_is_admin(c) || (*c->sub && doc_array_has(json_object_get(doc, "visible_to"), c->sub));
}

static void got_text(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct session_reading *r = arg;
	const struct caller *caller = call_caller(r->call);
	bool whose = result == STORE_OK && !caller_is_admin(caller);
	_cleanup_(doc_unrefp) json_t *doc = whose ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_FAILED) {
		objects_fail_call(r->c->objects, r->call, err, ERR_INTERNAL);
	} else if (result != STORE_OK || (whose && (!doc || !doc_visible(caller, doc)))) {
		call_fail(r->call, ERR_SESSION_NOT_FOUND, NULL);
	} else {
		call_set_version(r->call, d->version);
		call_ok_blob(r->call, blob_ref(d->text), NULL);
	}
}

void op_session_get(struct call *c, void *ctx)
{
	struct session_reading *r = XNEW(struct session_reading);
	*r = (struct session_reading){ .c = ctx, .call = c };
	store_get(r->c->env.store, COL_SESSIONS, call_param(c, "session_id"), got_text, r);
}

void session_read_end(struct session_reading *r)
{
	json_decref(r->doc);
	free(r);
}

static void got_doc(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct session_reading *r = arg;
	r->doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (r->doc && doc_visible(call_caller(r->call), r->doc)) {
		r->then(r);
		return;
	}
	if (result == STORE_FAILED)
		objects_fail_call(r->c->objects, r->call, err, ERR_INTERNAL);
	else
		call_fail(r->call, ERR_SESSION_NOT_FOUND, NULL);
	session_read_end(r);
}

void session_read_begin(struct controller *c, struct call *call, void (*then)(struct session_reading *r))
{
	struct session_reading *r = XNEW(struct session_reading);
	*r = (struct session_reading){ .c = c, .call = call, .then = then };
	store_get(c->env.store, COL_SESSIONS, call_param(call, "session_id"), got_doc, r);
}
