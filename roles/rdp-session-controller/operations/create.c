#include "roles/rdp-session-controller/operations/create.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/foreign/foreign_target.h"
#include "roles/rdp-session-controller/operations/declare.h"
#include "roles/rdp-session-controller/session/define.h"
#include "roles/rdp-session-controller/session/quotas.h"

/* --- the server, as the caller sees it */

struct asking {
	struct controller *c;
	struct call *call;
};

static bool says_recording(const json_t *body)
{
	return json_is_object(json_object_get(body, "recording_config")) || json_is_object(json_object_get(body, "storage_config"));
}

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
		if (says_recording(call_body(a->call)) && watched_imposes(w, call_caller(a->call)))
			call_fail(a->call, ERR_FORBIDDEN, WATCHED_IMPOSES "declare recording_config and storage_config; omit them");
		else if (server_quota_allows(w, a->call, doc))
			session_declare(c, a->call, w);
	}
	objects_release(c->objects);
}

static void check_declaration(const struct controller *c, const struct caller *caller, const json_t *body, struct faults *f)
{
	bool on_server = doc_str(body, "server_id", NULL);
	if (doc_str(body, "user_id", NULL) && !caller_is_admin(caller) && !str_eq(doc_str(body, "user_id", ""), caller->sub))
		faults_add(f, "user_id", "only an admin may declare a session for another user");
	if (doc_bool(json_object_get(body, "storage_config"), "hold", false) && !caller_is_admin(caller))
		faults_add(f, "storage_config.hold", "only an admin may exempt recordings from retention");
	session_check_metadata(body, doc_str(body, "user_id", caller->sub), f);
	if (!*doc_str(body, "user_id", caller->sub))
		faults_add(f, "user_id", "is required: the token names no user (claim sub) who could own the session");
	if (on_server == foreign_doc(body))
		faults_add(f, "server_id", "send exactly one of server_id, for a server, and rdp_config, for an RDP host outside this installation");
	else if (!on_server)
		foreign_check(c, json_object_get(body, "rdp_config"), f);
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
	check_declaration(c, caller, call_body(call), &f);
	if (faults_any(&f)) {
		call_fail_details(call, ERR_INVALID, faults_take(&f), NULL);
		return;
	}
	if (foreign_doc(call_body(call))) {
		foreign_declare(c, call);
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
