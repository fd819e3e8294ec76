#include "roles/rdp-session-controller/operations/end_many.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/operations/end.h"
#include "roles/rdp-session-controller/operations/query.h"

#define AT_ONCE 32 /* ends in flight */

struct ending_many {
	struct controller *c;
	struct call *call;
	json_t *results; /* one for each matching session, in the order of the list */
	size_t next, in_flight, ended;
	char *reason, *by;
};

/* The end of one session; task->arg. */
struct one_of_many {
	struct ending_many *m;
	json_t *result; /* borrowed */
};

static void many_done(struct ending_many *m)
{
	struct objects *set = m->c->objects;
	bool dry = doc_bool(call_query(m->call), "dry_run", false);
	json_t *out = json_object();
	doc_set_bool(out, "dry_run", dry);
	doc_set_int(out, "matched", (int64_t)json_array_size(m->results));
	doc_set_int(out, "ended", (int64_t)m->ended);
	doc_set(out, "results", m->results);
	call_ok(m->call, out);
	free(m->reason);
	free(m->by);
	free(m);
	objects_release(set);
}

static void end_next(struct ending_many *m);

static void one_ended(struct task *t, int err, const char *message)
{
	_cleanup_(xfreep) struct one_of_many *one = t->arg;
	struct ending_many *m = one->m;
	const char *outcome = !err ? "ended" : err == ERR_SESSION_STATE || err == ERR_SESSION_NOT_FOUND ? "already_ended" :
			      err == ERR_UNCERTAIN ? "uncertain" : "failed";
	doc_set_str(one->result, "outcome", outcome);
	doc_set_str(one->result, "message", message);
	m->ended += !err;
	m->in_flight--;
	end_next(m);
	if (!m->in_flight)
		many_done(m);
}

/* Ends as many at once as allowed. The last of them answers the call (one_ended). */
static void end_next(struct ending_many *m)
{
	while (m->in_flight < AT_ONCE && m->next < json_array_size(m->results)) {
		json_t *result = json_array_get(m->results, m->next++);
		struct session *s = (struct session *)objects_find(m->c->objects, doc_str(result, "session_id", ""));
		if (!s || session_ended(s)) {
			doc_set_str(result, "outcome", "already_ended");
			continue;
		}
		struct one_of_many *one = XNEW(struct one_of_many);
		*one = (struct one_of_many){ m, result };
		m->in_flight++;
		session_end(s, m->reason, m->by, one_ended, one);
	}
}

static void many_found(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct ending_many *m = arg;
	bool dry = doc_bool(call_query(m->call), "dry_run", false);
	m->results = json_array();
	for (size_t i = 0; result == STORE_OK && i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		json_array_append_new(m->results, sessions_outcome(doc, dry ? "would_end" : "failed"));
	}
	if (result != STORE_OK) {
		struct objects *set = m->c->objects;
		objects_fail_call(set, m->call, err, ERR_INTERNAL);
		json_decref(m->results);
		free(m->reason);
		free(m->by);
		free(m);
		objects_release(set);
		return;
	}
	m->in_flight++; /* so that one_ended does not answer before all have begun */
	if (!dry)
		end_next(m);
	m->in_flight--;
	if (!m->in_flight)
		many_done(m);
}

void op_sessions_terminate(struct call *call, void *ctx)
{
	struct controller *c = ctx;
	struct store_query q;
	if (!objects_ready(c->objects, call, op_sessions_terminate))
		return;
	struct ending_many *m = XNEW(struct ending_many);
	*m = (struct ending_many){ .c = c, .call = call, .reason = xstrdup(doc_str(call_body(call), "reason", "terminated")),
				   .by = xstrdup(call_caller(call)->sub) };
	objects_hold(c->objects);
	sessions_query_live(call, &q);
	store_list(c->env.store, COL_SESSIONS, &q, many_found, m);
}
