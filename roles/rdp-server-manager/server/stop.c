#include "roles/rdp-server-manager/server/stop.h"

#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/server/delete.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/states.h"

/* Stop, and the first half of delete: check for live desktops, end the instance, then enter `stopped`. */

/* One detail for each live desktop, for the refusal. */
static json_t *name_desktops(const json_t *desktops)
{
	json_t *details = json_array(), *d;
	size_t i;
	json_array_foreach((json_t *)desktops, i, d)
	{
		_cleanup_(xfreep) char *text = xasprintf("%s on display :%lld, %s", doc_str(d, "username", "an unknown account"),
							 (long long)doc_int(d, "display", 0), doc_str(d, "status", "live"));
		json_array_append_new(details, json_pack("{s:s, s:s}", "field", "sessions", "message", text));
	}
	return details;
}

static void stop_refuse(struct task *t, json_t *consume_details)
{
	object_task_refuse(&t->on, ERR_CONFLICT, consume_details,
		    "the server has live desktops; retry with force=true to end them");
}

static void fail_away(struct task *t, const struct reply *r)
{
	object_task_refuse(&t->on, r->err, NULL, "the host's agent does not respond (%s); start xrdp-integration on %s, or retry later", r->message,
		    doc_str(task_server(t)->o.doc, "node", "it"));
}

static void stopped_durable(int err, void *arg)
{
	struct task *t = arg;
	if (err && t->on.call)
		objects_fail_call(server_manager(task_server(t))->objects, TAKE_PTR(t->on.call), err, ERR_SERVER_STOP);
	object_task_answer(&t->on, t->on.wait ? 200 : 202);
	object_task_end(&t->on);
}

static void ended(struct task *t)
{
	if (task_server(t)->o.state != SERVER_STOPPED)
		object_enter(&task_server(t)->o, SERVER_STOPPED, NULL, NULL);
	if (t->remove)
		run_delete(&t->on);
	else
		object_wait(&task_server(t)->o, stopped_durable, t);
}

static void asked(const struct reply *r, void *arg)
{
	struct task *t = arg;
	if (task_server(t)->o.overtaken) { /* another manager took this task over, because it considered this process dead */
		object_task_again(&t->on);
		return;
	}
	if (!r->err || r->err == ERR_INSTANCE_NOT_FOUND) {
		ended(t);
		return;
	}
	/* with an uncertain outcome the next listing decides; with any other error nothing was changed */
	if (r->err != ERR_UNCERTAIN && r->err != ERR_DEADLINE)
		object_task_go_back(&t->on);
	if (r->err == ERR_CONFLICT)
		stop_refuse(t, json_incref(r->details));
	else if (agent_away(r))
		fail_away(t, r);
	else
		object_task_refuse(&t->on, t->remove ? ERR_SERVER_DELETE : ERR_SERVER_STOP, NULL, "the host's agent could not stop the server: %s",
			    r->message);
}

static void accepted(int err, void *arg)
{
	struct task *t = arg;
	if (!t->on.call || t->on.wait || object_task_refused(&t->on))
		return;
	if (err)
		objects_fail_call(server_manager(task_server(t))->objects, TAKE_PTR(t->on.call), err, t->remove ? ERR_SERVER_DELETE : ERR_SERVER_STOP);
	else
		object_task_answer(&t->on, 202);
}

static void ask(struct object_task *on)
{
	struct task *t = task_of(on);
	struct server *s = task_server(t);
	struct manager *m = server_manager(s);
	agent_call(m, server_place(s)->g.name, m->agent.stop, s->o.id, json_pack("{s:b, s:b}", "force", t->force, "remove", t->remove), NULL,
		   t->on.call, asked, t);
}

static void go(struct task *t)
{
	struct server *s = task_server(t);
	object_task_remember(&t->on);
	if (s->o.state != SERVER_STOPPED && s->o.state != SERVER_STOPPING)
		object_enter(&s->o, SERVER_STOPPING, NULL, NULL);
	object_task_wait(&t->on);
	object_task_claim(&t->on, ask, accepted);
}

static void looked(const struct reply *r, void *arg)
{
	struct task *t = arg;
	const json_t *desktops = json_object_get(r->doc, "desktops");
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND) {
		if (agent_away(r))
			fail_away(t, r);
		else
			object_task_fail(&t->on, t->remove ? ERR_SERVER_DELETE : ERR_SERVER_STOP,
				  "the host's agent could not list its desktops: %s", r->message);
		return;
	}
	if (!r->err && json_array_size(desktops)) {
		stop_refuse(t, name_desktops(desktops));
		return;
	}
	go(t);
}

/* The server never ran and is not starting, so the host has nothing to clean up. */
static bool untouched(const struct server *s)
{
	return s->o.state == SERVER_STOPPED && !json_is_string(json_object_get(s->o.doc, "started_at")) &&
	       !json_is_string(json_object_get(s->o.doc, "stopped_at"));
}

void run_stop(struct object_task *on)
{
	struct task *t = task_of(on);
	struct server *s = task_server(t);
	struct manager *m = server_manager(s);
	if (t->if_match && t->if_match != s->o.version) {
		object_task_fail(&t->on, ERR_STALE, NULL);
	} else if (s->o.state == SERVER_STOPPED && !t->remove) {
		object_task_answer(&t->on, 200);
		object_task_end(&t->on);
	} else if (untouched(s)) {
		object_task_wait(&t->on);
		run_delete(&t->on);
	} else if (t->force || s->o.state == SERVER_STOPPED) {
		go(t);
	} else {
		agent_call(m, server_place(s)->g.name, m->agent.desktops, s->o.id, NULL, NULL, t->on.call, looked, t);
	}
}

void op_stop(struct call *c, void *m)
{
	struct server *s = server_of_call(m, c, op_stop);
	if (!s)
		return;
	struct task *t = task_new(m, c, run_stop);
	t->on.wait = doc_bool(call_query(c), "wait", false);
	t->force = doc_bool(call_query(c), "force", false);
	object_queue(&s->o, &t->on);
}

void op_delete(struct call *c, void *m)
{
	struct server *s = server_of_call(m, c, op_delete);
	if (!s)
		return;
	struct task *t = task_new(m, c, run_stop);
	t->remove = true;
	t->on.store_code = ERR_SERVER_DELETE;
	t->on.wait = doc_bool(call_query(c), "wait", true);
	t->force = doc_bool(call_query(c), "force", false);
	t->if_match = call_if_match(c);
	object_queue(&s->o, &t->on);
}
