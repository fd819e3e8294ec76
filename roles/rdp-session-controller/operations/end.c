#include "roles/rdp-session-controller/operations/end.h"

#include <stdio.h>

#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/session/delete.h"
#include "roles/rdp-session-controller/watch/later.h"
#include "roles/rdp-session-controller/watch/look.h"

/* --- outcomes */

static void end_tell(struct task *t, int err, const char *message)
{
	if (t->ended)
		TAKE_PTR(t->ended)(t, err, message);
}

static void end_failed(struct task *t, int err, const char *fmt, ...) PRINTF(3, 4);
static void end_failed(struct task *t, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *text = xvasprintf(fmt, ap);
	va_end(ap);
	end_tell(t, err, text);
	object_task_fail(&t->on, err, "%s", text);
}

/* The agent did not answer: whether it acted is not known, if it got the request. A comparison puts the state right when it is back. */
static void end_unanswered(struct task *t, const struct reply *r, bool acted)
{
	const char *node = t->on.object->group->name;
	follow_later(session_controller(task_session(t)));
	if (acted && r->err != ERR_UNAVAILABLE && r->err != ERR_BUSY)
		end_failed(t, ERR_UNCERTAIN, "the outcome is uncertain: the agent of host %s stopped answering (%s); read the session in a few seconds",
			   node, r->message);
	else
		end_failed(t, agent_silent(r) ? (int)ERR_UNAVAILABLE : (int)r->err, "nothing was ended: the agent of host %s does not answer (%s); retry later", node,
			   r->message);
}

static void end_too_late(struct task *t)
{
	if (t->remove)
		run_session_delete(&t->on);
	else
		end_failed(t, ERR_SESSION_STATE, "session %s has ended already (%s)", t->on.object->id, object_state_name(t->on.object));
}

static void end_durable(int err, void *arg)
{
	struct task *t = arg;
	if (err) {
		end_tell(t, -err, "the desktop was ended; the store has not recorded it yet");
		object_task_fail_store(&t->on, err, ERR_INTERNAL);
		return;
	}
	end_tell(t, 0, NULL);
	if (t->on.call && !t->remove)
		call_ok(TAKE_PTR(t->on.call), TAKE_PTR(t->outcome));
	if (t->remove)
		run_session_delete(&t->on);
	else
		object_task_end(&t->on);
}

/* desktop: what the agent ended; NULL: nobody had logged in yet. */
static void end_done(struct task *t, const json_t *answer)
{
	struct session *s = task_session(t);
	json_t *extra = json_object(), *ended = json_object_get(answer, "ended");
	doc_set_str(extra, "ended_by", *t->by ? t->by : NULL);
	session_enter(s, SESSION_TERMINATED, t->reason, extra);
	t->outcome = json_object();
	doc_set_str(t->outcome, "session_id", s->o.id);
	doc_set_str(t->outcome, "status", object_state_name(&s->o));
	doc_set(t->outcome, "ended", json_incref(ended));
	doc_set_int(t->outcome, "processes", doc_int(answer, "processes", 0));
	doc_set_int(t->outcome, "forced", doc_int(answer, "forced", 0));
	doc_set(t->outcome, "cut", json_array());
	object_wait(&s->o, end_durable, t);
}

/* --- the desktop */

static void desktop_end_answered(const struct reply *r, void *arg)
{
	struct task *t = arg;
	struct session *s = task_session(t);
	if (!r->err) {
		end_done(t, r->doc);
	} else if (r->err == ERR_INSTANCE_NOT_FOUND) {
		look_at(s->server);
		if (!session_ended(s))
			session_enter(s, SESSION_TERMINATED, "ended", NULL);
		end_too_late(t);
	} else {
		end_unanswered(t, r, true);
	}
}

static void end_desktop(struct task *t)
{
	struct session *s = task_session(t);
	char display[16];
	snprintf(display, sizeof display, "%d", s->display);
	agent_ask(session_controller(s),
		  &(struct agent_args){ .op = session_controller(s)->ops.desktop_end, .node = s->o.group->name, .params = { s->server->id, display },
					.call = t->on.call }, desktop_end_answered, t);
}

/* --- the connections */

static void cut_next(struct task *t);

static void cut_answered(const struct reply *r, void *arg)
{
	struct task *t = arg;
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND) { /* a connection that is gone already is cut */
		end_unanswered(t, r, true);
		return;
	}
	if (!r->err)
		json_array_append(json_object_get(t->outcome, "cut"), json_object_get(r->doc, "cut"));
	json_array_remove(t->connections, 0);
	cut_next(t);
}

static void cut_next(struct task *t)
{
	struct session *s = task_session(t);
	const json_t *next = json_array_get(t->connections, 0);
	if (next) {
		agent_ask(session_controller(s),
			  &(struct agent_args){ .op = session_controller(s)->ops.connection_cut, .node = s->o.group->name,
						.params = { s->server->id, doc_str(next, "id", "") }, .call = t->on.call }, cut_answered, t);
		return;
	}
	look_at(s->server);
	if (t->on.call)
		call_ok(TAKE_PTR(t->on.call), TAKE_PTR(t->outcome));
	object_task_end(&t->on);
}

static void connections_listed(const struct reply *r, void *arg)
{
	struct task *t = arg;
	struct session *s = task_session(t);
	json_t *connection;
	size_t i;
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND) {
		end_unanswered(t, r, false);
		return;
	}
	t->connections = json_array();
	json_array_foreach(r->err ? NULL : json_object_get(r->doc, "connections"), i, connection)
		if (doc_int(connection, "display", 0) == s->display)
			json_array_append(t->connections, connection);
	if (!json_array_size(t->connections)) {
		end_failed(t, ERR_SESSION_STATE, "no client is connected to session %s", s->o.id);
		return;
	}
	t->outcome = json_pack("{s:s, s:s, s:n, s:i, s:i, s:[]}", "session_id", s->o.id, "status", "disconnected", "ended", "processes", 0, "forced", 0,
			       "cut");
	cut_next(t);
}

static void list_connections(struct task *t)
{
	struct session *s = task_session(t);
	agent_ask(session_controller(s),
		  &(struct agent_args){ .op = session_controller(s)->ops.connections, .node = s->o.group->name, .params = { s->server->id },
					.call = t->on.call }, connections_listed, t);
}

/* --- begin */

/* The display may have been given to another desktop since the last listing: the start tells them apart. */
static void session_desktops_listed(const struct reply *r, void *arg)
{
	struct task *t = arg;
	struct session *s = task_session(t);
	json_t *desktop;
	size_t i;
	bool there = false;
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND) {
		end_unanswered(t, r, false);
		return;
	}
	json_array_foreach(r->err ? NULL : json_object_get(r->doc, "desktops"), i, desktop)
		there |= doc_int(desktop, "display", 0) == s->display && desktop_same_start(desktop_started_ms(desktop), s->desktop_ms);
	if (there && t->disconnect) {
		list_connections(t);
	} else if (there) {
		end_desktop(t);
	} else {
		session_enter(s, SESSION_TERMINATED, "ended", NULL);
		end_too_late(t);
	}
}

static bool end_stale(struct task *t)
{
	if (!t->if_match || t->if_match == t->on.object->version)
		return false;
	object_task_fail(&t->on, ERR_STALE, NULL);
	return true;
}

static void run_session_end(struct object_task *on)
{
	struct task *t = task_of(on);
	struct session *s = task_session(t);
	struct controller *c = session_controller(s);
	if (end_stale(t))
		return;
	if (session_ended(s))
		end_too_late(t);
	else if (foreign_session(s) && t->disconnect)
		end_failed(t, ERR_SESSION_STATE, "session %s is on a foreign RDP host, whose connections are not managed here; end it there", s->o.id);
	else if ((!s->display || !s->server) && t->disconnect)
		end_failed(t, ERR_SESSION_STATE, "nobody has logged in to session %s yet", s->o.id);
	else if (!s->display || !s->server)
		end_done(t, NULL);
	else if (agent_unreachable(c, s->o.group->name))
		end_failed(t, ERR_UNAVAILABLE, "nothing was ended: host %s is unreachable, its heartbeat has stopped; start its agent and retry, or remove the host "
			   "from the list of nodes if it does not come back: its sessions end then", s->o.group->name);
	else
		agent_ask(c, &(struct agent_args){ .op = c->ops.desktops, .node = s->o.group->name, .params = { s->server->id }, .call = on->call },
			  session_desktops_listed, t);
}

static struct task *end_task(struct session *s, struct call *call, const char *reason, const char *by)
{
	struct task *t = session_task(session_controller(s), call, run_session_end);
	t->reason = xstrdup(reason);
	t->by = xstrdup(by);
	return t;
}

void session_end(struct session *s, const char *reason, const char *by, void (*ended)(struct task *t, int err, const char *message), void *arg)
{
	struct task *t = end_task(s, NULL, reason, by);
	t->ended = ended;
	t->arg = arg;
	object_queue(&s->o, &t->on);
}

void op_session_terminate(struct call *call, void *ctx)
{
	struct session *s = session_of_call(ctx, call, op_session_terminate);
	if (!s)
		return;
	struct task *t = end_task(s, call, doc_str(call_body(call), "reason", "terminated"), call_caller(call)->sub);
	t->disconnect = str_eq(doc_str(call_query(call), "mode", ""), "disconnect");
	object_queue(&s->o, &t->on);
}

void op_session_delete(struct call *call, void *ctx)
{
	struct session *s = session_of_call(ctx, call, op_session_delete);
	if (!s)
		return;
	struct task *t = end_task(s, call, "deleted", call_caller(call)->sub);
	t->remove = true;
	t->if_match = call_if_match(call);
	object_queue(&s->o, &t->on);
}
