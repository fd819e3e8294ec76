#include "roles/rdp-server-manager/server/start.h"

#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/server/definition.h"
#include "roles/rdp-server-manager/server/port_move.h"
#include "roles/rdp-server-manager/server/quotas.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/states.h"

/* Start and restart. The agent works while the new status is written, so that the caller waits for the slower of the two, not for both. */

/* The outcome of a start is durable. */
static void finished(int err, void *arg)
{
	struct task *t = arg;
	if (!t->on.call || (!t->on.wait && !t->on.fresh)) {
		object_task_answer(&t->on, 202); /* the caller is still waiting if the agent was faster than the store */
		object_task_end(&t->on);
	} else if (t->err) {
		const char *reason = doc_str(task_server(t)->o.doc, "status_reason", "no reason given");
		if (t->err == ERR_NO_XRDP)
			object_task_fail(&t->on, ERR_NO_XRDP, NULL);
		else
			object_task_fail(&t->on, ERR_SERVER_START, "the server did not start: %s; see its status and logs", reason);
	} else {
		object_task_answer(&t->on, t->on.fresh ? 201 : 200);
		object_task_end(&t->on);
	}
}

static void failed(struct task *t, const char *reason, int err)
{
	task_server(t)->cut_off = 0;
	object_enter(&task_server(t)->o, SERVER_FAILED, reason, NULL);
	t->err = t->on.fresh ? 0 : err; /* a creation that waits reports the failure in the server's status */
	object_wait(&task_server(t)->o, finished, t);
}

/* The agent is unreachable. If a caller waits, the status is restored and the call fails. An accepted start is retried when the instances are
 * listed next. */
static void away(struct task *t, const struct reply *r)
{
	bool began = r->err == ERR_UNCERTAIN || r->err == ERR_DEADLINE;
	if (began && ++task_server(t)->cut_off >= CUT_OFF_MAX) {
		log_warn(SERVICE, "server %s: %d starts in a row were interrupted; it is not started again until an API call starts it", task_server(t)->o.id, CUT_OFF_MAX);
		failed(t, "agent_silent", ERR_SERVER_START);
		return;
	}
	if (t->on.call && !t->on.fresh && !began) {
		object_task_go_back(&t->on);
		object_task_refuse(&t->on, ERR_UNAVAILABLE, NULL,
			    "the host's agent does not respond (%s); start xrdp-integration on %s, or retry later", r->message,
			    doc_str(task_server(t)->o.doc, "node", "it"));
		return;
	}
	object_touch(&task_server(t)->o, "status_reason", json_string(began ? "agent_silent" : "agent_away"));
	if (t->on.fresh || !t->on.call)
		object_wait(&task_server(t)->o, finished, t);
	else
		object_task_refuse(&t->on, r->err, NULL, "the host's agent did not respond in time; read the server's status before retrying");
}

static void running(struct task *t, const json_t *instance)
{
	json_t *extra = json_object();
	doc_set_str(extra, "backend", doc_str(instance, "backend", NULL));
	doc_set_str(extra, "isolation", doc_str(instance, "isolation", NULL));
	task_server(t)->cut_off = 0;
	object_enter(&task_server(t)->o, SERVER_RUNNING, NULL, extra);
	object_wait(&task_server(t)->o, finished, t);
}

/* The agent refused the restart before it changed anything, so the server runs on. status_reason keeps the reason until the next start. */
static void not_restarted(struct task *t, const struct reply *r)
{
	const char *word = doc_str(json_array_get(r->details, 0), "reason", "restart_refused");
	log_warn(SERVICE, "server %s was not restarted: %s", task_server(t)->o.id, r->message);
	object_task_go_back(&t->on);
	object_touch(&task_server(t)->o, "status_reason", json_string(word));
	if (t->on.call && t->on.wait)
		object_task_refuse(&t->on, ERR_SERVER_START, json_incref(r->details), "%s", r->message);
	else
		object_wait(&task_server(t)->o, finished, t);
}

static void ask(struct object_task *on);

static bool may_move(const struct task *t, const char *reason)
{
	return t->on.fresh && !t->port_asked && t->tries < 8 && str_eq(reason, "port_in_use");
}

static void started(const struct reply *r, void *arg)
{
	struct task *t = arg;
	const char *reason = "start_failed";
	if (task_server(t)->o.overtaken) { /* another manager took this task over, because it considered this process dead */
		object_task_answer(&t->on, t->on.fresh ? 201 : 202);
		object_task_end(&t->on);
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
	if (r->err && t->replace && r->err != ERR_CONFLICT) {
		not_restarted(t, r);
		return;
	}
	if (!r->err)
		reason = doc_str(r->doc, "reason", reason);
	else if (r->err == ERR_NO_XRDP)
		reason = "no_xrdp";
	else if (r->err == ERR_XRDP_CONFIG || r->err == ERR_INVALID)
		reason = "invalid_configuration";
	if (r->err)
		log_warn(SERVICE, "server %s did not start: %s", task_server(t)->o.id, r->message);
	if (may_move(t, reason)) {
		t->tries++;
		run_port_move(t, ask);
		return;
	}
	failed(t, reason, r->err == ERR_NO_XRDP || str_eq(reason, "no_xrdp") ? ERR_NO_XRDP : ERR_SERVER_START);
}

static void ask(struct object_task *on)
{
	struct task *t = task_of(on);
	struct manager *m = server_manager(task_server(t));
	json_t *body = server_spec(task_server(t)->o.doc);
	doc_set_bool(body, "replace", t->replace);
	agent_call(m, server_place(task_server(t))->g.name, m->agent.start, NULL, NULL, body, t->on.call, started, t);
}

/* The transitional status is durable: respond to a caller that does not wait for the outcome. Runs before `finished`. */
static void accepted(int err, void *arg)
{
	struct task *t = arg;
	if (!t->on.call || t->on.wait || object_task_refused(&t->on))
		return;
	if (err)
		objects_fail_call(server_manager(task_server(t))->objects, TAKE_PTR(t->on.call), err, ERR_SERVER_START);
	else
		object_task_answer(&t->on, t->on.fresh ? 201 : 202);
}

void run_start(struct object_task *on)
{
	struct task *t = task_of(on);
	struct server *s = task_server(t);
	if (s->o.state == SERVER_RUNNING && !t->replace) {
		object_task_answer(&t->on, 200);
		object_task_end(&t->on);
		return;
	}
	object_task_remember(&t->on);
	if (t->on.asked)
		s->cut_off = 0;
	t->replace = s->o.state == SERVER_RUNNING;
	if (s->o.state == SERVER_STOPPING)
		object_enter(&s->o, SERVER_STOPPED, NULL, NULL);
	if (s->o.state == SERVER_STOPPED && quota_live(server_manager(s), t->on.call)) {
		t->on.call = NULL;
		object_task_end(&t->on);
		return;
	}
	if (s->o.state == SERVER_CREATING)
		object_enter(&s->o, SERVER_CONFIGURING, NULL, NULL);
	if (s->o.state != SERVER_STARTING)
		object_enter(&s->o, SERVER_STARTING, NULL, NULL);
	object_task_wait(&t->on);
	object_task_claim(&t->on, ask, accepted);
}

static void queue_start(struct call *c, struct manager *m, bool replace, call_handler again)
{
	struct server *s = server_of_call(m, c, again);
	if (!s)
		return;
	struct task *t = task_new(m, c, run_start);
	t->on.wait = doc_bool(call_query(c), "wait", false);
	t->replace = replace;
	object_queue(&s->o, &t->on);
}

void op_start(struct call *c, void *m)
{
	queue_start(c, m, false, op_start);
}

void op_restart(struct call *c, void *m)
{
	queue_start(c, m, true, op_restart);
}
