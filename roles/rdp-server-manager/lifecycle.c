#include "roles/rdp-server-manager/servers.h"

/* Start and restart. The agent is asked while the new status is written: a user waits for the slower of the two. */

/* The end of a start, durable. */
static void finished(int err, void *arg)
{
	struct task *t = arg;
	if (!t->call || (!t->wait && !t->fresh)) {
		task_answer(t, 202); /* not told yet, where the agent was quick */
		task_end(t);
	} else if (t->err) {
		const char *reason = doc_str(t->s->doc, "status_reason", "no reason was given");
		if (t->err == ERR_NO_XRDP)
			task_fail(t, ERR_NO_XRDP, NULL);
		else
			task_fail(t, ERR_SERVER_START, "the server did not start: %s; see its status and logs", reason);
	} else {
		task_answer(t, t->fresh ? 201 : 200);
		task_end(t);
	}
}

static void failed(struct task *t, const char *reason, int err)
{
	t->s->cut_off = 0;
	server_enter(t->s, SERVER_FAILED, reason, NULL);
	t->err = t->fresh ? 0 : err; /* who creates and waits is told by the server's status */
	server_wait(t->s, finished, t);
}

/* The agent is away. Somebody waits: as it was before, and a clear answer. Nobody does, for it was accepted: tried again
 * when the instances are looked at. */
static void away(struct task *t, const struct reply *r)
{
	bool began = r->err == ERR_UNCERTAIN || r->err == ERR_DEADLINE;
	if (began && ++t->s->cut_off >= CUT_OFF_MAX) {
		log_warn(SERVICE, "server %s: %d starts in a row were cut off; the next only when it is asked for", t->s->id, CUT_OFF_MAX);
		failed(t, "agent_silent", ERR_SERVER_START);
		return;
	}
	if (t->call && !t->fresh && !began) {
		task_go_back(t);
		task_refuse(t, ERR_UNAVAILABLE, NULL,
			    "the host's agent does not answer (%s); start xrdp-integration on %s, or try again later", r->message,
			    doc_str(t->s->doc, "node", "it"));
		return;
	}
	server_touch(t->s, "status_reason", json_string(began ? "agent_silent" : "agent_away"));
	if (t->fresh || !t->call)
		server_wait(t->s, finished, t);
	else
		task_refuse(t, r->err, NULL, "the host's agent did not answer in time; look at the server's status");
}

static void running(struct task *t, const json_t *instance)
{
	json_t *extra = json_object();
	doc_set_str(extra, "backend", doc_str(instance, "backend", NULL));
	doc_set_str(extra, "isolation", doc_str(instance, "isolation", NULL));
	t->s->cut_off = 0;
	server_enter(t->s, SERVER_RUNNING, NULL, extra);
	server_wait(t->s, finished, t);
}

static void ask(struct task *t);

static bool may_move(const struct task *t, const char *reason)
{
	return t->fresh && !t->port_asked && t->tries < 8 && str_eq(reason, "port_in_use");
}

static void started(const struct reply *r, void *arg)
{
	struct task *t = arg;
	const char *reason = "start_failed";
	if (t->s->overtaken) { /* it was taken for dead here, and is another manager's now */
		task_answer(t, t->fresh ? 201 : 202);
		task_end(t);
		return;
	}
	if (r->err && agent_away(r)) {
		away(t, r);
		return;
	}
	if (!r->err && !str_eq(doc_str(r->doc, "status", ""), "failed")) {
		running(t, r->doc);
		return;
	}
	if (!r->err)
		reason = doc_str(r->doc, "reason", reason);
	else if (r->err == ERR_NO_XRDP)
		reason = "no_xrdp";
	else if (r->err == ERR_XRDP_CONFIG || r->err == ERR_INVALID)
		reason = "invalid_configuration";
	if (r->err)
		log_warn(SERVICE, "server %s did not start: %s", t->s->id, r->message);
	if (may_move(t, reason)) {
		t->tries++;
		run_move_port(t, ask);
		return;
	}
	failed(t, reason, r->err == ERR_NO_XRDP || str_eq(reason, "no_xrdp") ? ERR_NO_XRDP : ERR_SERVER_START);
}

static void ask(struct task *t)
{
	struct manager *m = t->s->m;
	json_t *body = server_spec(t->s->doc);
	doc_set_bool(body, "replace", t->replace);
	agent_call(m, t->s->place->name, m->agent.start, NULL, NULL, body, t->call, started, t);
}

/* The status on the way is durable: who does not wait for the end is answered. Comes before `finished`. */
static void accepted(int err, void *arg)
{
	struct task *t = arg;
	if (!t->call || t->wait || t->refusal.err)
		return;
	if (err)
		store_fail(TAKE_PTR(t->call), err, ERR_SERVER_START);
	else
		task_answer(t, t->fresh ? 201 : 202);
}

void run_start(struct task *t)
{
	struct server *s = t->s;
	if (s->status == SERVER_RUNNING && !t->replace) {
		task_answer(t, 200);
		task_end(t);
		return;
	}
	task_remember(t);
	if (t->asked)
		s->cut_off = 0;
	t->replace = s->status == SERVER_RUNNING;
	if (s->status == SERVER_STOPPING)
		server_enter(s, SERVER_STOPPED, NULL, NULL);
	if (s->status == SERVER_STOPPED && quota_live(s->m, t->call)) {
		t->call = NULL;
		task_end(t);
		return;
	}
	if (s->status == SERVER_CREATING)
		server_enter(s, SERVER_CONFIGURING, NULL, NULL);
	if (s->status != SERVER_STARTING)
		server_enter(s, SERVER_STARTING, NULL, NULL);
	task_wait(t);
	task_claim(t, ask, accepted);
}

static void queue_start(struct call *c, struct manager *m, bool replace, call_handler again)
{
	struct server *s = server_of(m, c, again);
	if (!s)
		return;
	struct task *t = task_new(c, run_start);
	t->wait = doc_bool(call_query(c), "wait", false);
	t->replace = replace;
	task_queue(s, t);
}

void op_start(struct call *c, void *m)
{
	queue_start(c, m, false, op_start);
}

void op_restart(struct call *c, void *m)
{
	queue_start(c, m, true, op_restart);
}
