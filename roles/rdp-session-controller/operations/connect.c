#include "roles/rdp-session-controller/operations/connect.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/foreign/foreign_connect.h"
#include "roles/rdp-session-controller/operations/read.h"

/* The call is made as the role itself: a user of the session who does not own its server may learn how to connect to it, but nothing else
 * of the server. Without a login, the account is that of the session's user, whoever asks. */
static void ask_server(struct session_reading *r, const struct op *op, call_done done)
{
	struct call_args args = { 0 };
	const char *account = doc_str(r->doc, "username", NULL), *user = doc_str(r->doc, "user_id", NULL);
	_cleanup_(doc_unrefp) json_t *query = json_object();
	if (account)
		doc_set_str(query, "username", account);
	else if (user)
		doc_set_str(query, "user_id", user);
	call_onward(r->call, &args);
	args.caller = NULL;
	args.op = op;
	args.params[0] = doc_str(r->doc, "server_id", "");
	args.query = query;
	bus_call(r->c->env.bus, &args, done, r);
}

static void connection_got(const struct reply *r, void *arg)
{
	struct session_reading *w = arg;
	_cleanup_(doc_unrefp) json_t *doc = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : json_incref(r->doc);
	if (r->err) {
		call_fail_reply(w->call, r);
	} else {
		json_t *out = json_object();
		json_object_set(out, "session_id", json_object_get(w->doc, "session_id"));
		json_object_update(out, doc);
		doc_set(out, "domain", NULL);
		json_object_set(out, "server_status", json_object_get(doc, "status"));
		json_object_set(out, "status", json_object_get(w->doc, "status"));
		call_ok(w->call, out);
	}
	session_read_end(w);
}

static void rdp_file_got(const struct reply *r, void *arg)
{
	struct session_reading *w = arg;
	if (r->err) {
		call_fail_reply(w->call, r);
	} else {
		call_set_file_name(w->call, doc_str(w->doc, "name", doc_str(w->doc, "session_id", "session")), ".rdp");
		call_ok_blob(w->call, r->blob ? blob_ref(r->blob) : blob_new("", 0), "application/x-rdp");
	}
	session_read_end(w);
}

static bool connectable(struct session_reading *r)
{
	const char *status = doc_str(r->doc, "status", "");
	if (json_is_null(json_object_get(r->doc, "stopped_at")) && !str_eq(status, "orphaned"))
		return true;
	call_fail(r->call, ERR_SESSION_STATE, "no client can connect to session %s: it is %s; declare another one", doc_str(r->doc, "session_id", ""), status);
	session_read_end(r);
	return false;
}

static void session_connection(struct session_reading *r)
{
	if (!connectable(r))
		return;
	if (foreign_doc(r->doc))
		foreign_connection(r);
	else
		ask_server(r, r->c->ops.connection, connection_got);
}

static void session_rdp_file(struct session_reading *r)
{
	if (!connectable(r))
		return;
	if (foreign_doc(r->doc))
		foreign_rdp_file(r);
	else
		ask_server(r, r->c->ops.rdp_file, rdp_file_got);
}

void op_session_connection(struct call *c, void *controller)
{
	session_read_begin(controller, c, session_connection);
}

void op_session_rdp_file(struct call *c, void *controller)
{
	session_read_begin(controller, c, session_rdp_file);
}
