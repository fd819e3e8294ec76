#include "roles/rdp-server-manager/server/read.h"

#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/server/definition.h"
#include "roles/rdp-server-manager/server/reading.h"

/* Read operations of one server: its document, status, configuration and logs. GET by id returns bytes from the store's cache. */

static void got_text(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct reading *w = arg;
	const struct caller *caller = call_caller(w->call);
	bool whose = result == STORE_OK && !caller_is_admin(caller); /* an admin sees every server, so only other callers need the parsed document */
	_cleanup_(doc_unrefp) json_t *doc = whose ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_FAILED) {
		objects_fail_call(w->m->objects, w->call, err, ERR_INTERNAL);
	} else if (result != STORE_OK || (whose && (!doc || !server_visible(caller, doc)))) {
		call_fail(w->call, ERR_SERVER_NOT_FOUND, NULL);
	} else {
		call_set_version(w->call, d->version);
		call_ok_blob(w->call, blob_ref(d->text), NULL);
	}
}

void op_get(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	const char *id = call_param(c, "server_id");
	const struct caller *caller = call_caller(c);
	struct store_doc d;
	if (m->one_host && store_peek(m->env.store, COL_SERVERS, id, &d)) {
		if (caller_is_admin(caller) || server_visible(caller, store_peek_doc(m->env.store, COL_SERVERS, id))) {
			call_set_version(c, d.version);
			call_ok_blob(c, blob_ref(d.text), NULL);
		} else {
			call_fail(c, ERR_SERVER_NOT_FOUND, NULL);
		}
		return;
	}
	struct reading *w = XNEW(struct reading);
	w->m = m;
	w->call = c;
	store_get(m->env.store, COL_SERVERS, id, got_text, w);
}

/* Passes a failure of the agent on to the caller. */
static bool agent_failed(struct reading *w, const struct reply *r)
{
	if (!r->err)
		return false;
	if (agent_away(r))
		call_fail(w->call, r->err, "the host's agent does not respond (%s); start xrdp-integration on %s, or retry later",
			  r->message, doc_str(w->doc, "node", "it"));
	else
		call_fail_reply(w->call, r);
	reading_free(w);
	return true;
}

static json_t *no_sessions(void)
{
	return json_pack("{s:i, s:i, s:i}", "active", 0, "disconnected", 0, "orphaned", 0);
}

static void answer_status(struct reading *w, const json_t *instance, bool away)
{
	const json_t *doc = w->doc;
	json_t *out = json_object(), *sessions = json_object_get(instance, "sessions");
	json_object_set(out, "server_id", json_object_get(doc, "server_id"));
	json_object_set(out, "status", json_object_get(doc, "status"));
	json_object_set(out, "reason", json_object_get(doc, "status_reason"));
	json_t *pids = json_object_get(instance, "pids");
	doc_set(out, "pids", pids ? json_incref(pids) : json_pack("{s:n, s:n}", "xrdp", "sesman"));
	const char *since = doc_str(instance, "since", NULL);
	bool ended = str_eq(doc_str(doc, "status", ""), "stopped") || str_eq(doc_str(doc, "status", ""), "failed");
	doc_set_str(out, "since", since ? since : doc_str(doc, ended ? "stopped_at" : "updated_at", doc_str(doc, "created_at", NULL)));
	doc_set_int(out, "restarts", doc_int(instance, "restarts", 0));
	json_object_set(out, "pending_restart", json_object_get(doc, "pending_restart"));
	doc_set(out, "sessions", sessions ? json_incref(sessions) : no_sessions());
	doc_set(out, "connections", json_incref(json_object_get(instance, "connections")));
	json_t *taken = json_object_get(instance, "displays_taken");
	doc_set(out, "displays_taken", taken ? json_incref(taken) : json_array());
	doc_set(out, "limits_enforced", json_incref(json_object_get(instance, "limits_enforced")));
	json_t *outdated = json_object_get(instance, "outdated");
	doc_set(out, "outdated", outdated ? json_incref(outdated) : json_array());
	doc_set(out, "last_exit", json_incref(json_object_get(instance, "last_exit")));
	doc_set_str(out, "agent", away ? "away" : "available");
	call_ok(w->call, out);
	reading_free(w);
}

static void status_got(const struct reply *r, void *arg)
{
	answer_status(arg, r->err ? NULL : r->doc, agent_away(r));
}

static void status(struct reading *w)
{
	agent_call(w->m, doc_str(w->doc, "node", NULL), w->m->agent.get, doc_str(w->doc, "server_id", ""), NULL, NULL, w->call, status_got, w);
}

void op_status(struct call *c, void *m)
{
	reading_begin(m, c, status);
}

static void config_got(const struct reply *r, void *arg)
{
	struct reading *w = arg;
	if (agent_failed(w, r))
		return;
	json_t *out = json_object();
	json_object_set(out, "server_id", json_object_get(w->doc, "server_id"));
	json_object_set(out, "xrdp_ini", json_object_get(r->doc, "xrdp_ini"));
	json_object_set(out, "sesman_ini", json_object_get(r->doc, "sesman_ini"));
	call_ok(w->call, out);
	reading_free(w);
}

static void config(struct reading *w)
{
	agent_call(w->m, doc_str(w->doc, "node", NULL), w->m->agent.config, NULL, NULL, server_spec(w->doc), w->call, config_got, w);
}

void op_config(struct call *c, void *m)
{
	reading_begin(m, c, config);
}

static void logs_got(const struct reply *r, void *arg)
{
	struct reading *w = arg;
	if (r->err != ERR_INSTANCE_NOT_FOUND && agent_failed(w, r))
		return;
	json_t *out = json_object(), *lines = r->err ? NULL : json_object_get(r->doc, "lines"), *sources = json_object_get(r->doc, "sources");
	json_object_set(out, "server_id", json_object_get(w->doc, "server_id"));
	doc_set(out, "lines", lines ? json_incref(lines) : json_array()); /* a server that never ran has no lines */
	doc_set(out, "sources", !lines ? json_array() : json_is_array(sources) ? json_incref(sources) : NULL);
	call_ok(w->call, out);
	reading_free(w);
}

static void logs(struct reading *w)
{
	json_t *query = json_pack("{s:I}", "lines", (json_int_t)doc_int(call_query(w->call), "lines", 200));
	agent_call(w->m, doc_str(w->doc, "node", NULL), w->m->agent.logs, doc_str(w->doc, "server_id", ""), query, NULL, w->call, logs_got, w);
}

void op_logs(struct call *c, void *m)
{
	reading_begin(m, c, logs);
}

static void log_file_got(const struct reply *r, void *arg)
{
	struct reading *w = arg;
	if (agent_failed(w, r))
		return;
	call_ok_source(w->call, source_ref(r->source), r->type);
	reading_free(w);
}

static void log_file(struct reading *w)
{
	agent_call(w->m, doc_str(w->doc, "node", NULL), w->m->agent.log_file, doc_str(w->doc, "server_id", ""), json_copy(call_query(w->call)),
		   NULL, w->call, log_file_got, w);
}

void op_log_file(struct call *c, void *m)
{
	reading_begin(m, c, log_file);
}

