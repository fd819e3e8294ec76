#include "roles/rdp-server-manager/servers.h"

/* Stop, and the first half of delete: live desktops are looked for, the instance is ended, and only then it is `stopped`. */

/* What would be lost, one entry a desktop. */
static json_t *name_desktops(const json_t *desktops)
{
	json_t *details = json_array(), *d;
	size_t i;
	json_array_foreach((json_t *)desktops, i, d)
	{
		_cleanup_(xfreep) char *text = xasprintf("%s on display :%lld, %s", doc_str(d, "username", "somebody"),
							 (long long)doc_int(d, "display", 0), doc_str(d, "status", "live"));
		json_array_append_new(details, json_pack("{s:s, s:s}", "field", "sessions", "message", text));
	}
	return details;
}

static void refuse(struct task *t, json_t *consume_details)
{
	task_refuse(t, ERR_CONFLICT, consume_details,
		    "people are on this server; ask again with force=true to end their desktops");
}

static void fail_away(struct task *t, const struct reply *r)
{
	task_refuse(t, r->err, NULL, "the host's agent does not answer (%s); start xrdp-integration on %s, or try again later", r->message,
		    doc_str(t->s->doc, "node", "it"));
}

static void stopped_durable(int err, void *arg)
{
	struct task *t = arg;
	if (err && t->call)
		store_fail(TAKE_PTR(t->call), err, ERR_SERVER_STOP);
	task_answer(t, t->wait ? 200 : 202);
	task_end(t);
}

static void ended(struct task *t)
{
	if (t->s->status != SERVER_STOPPED)
		server_enter(t->s, SERVER_STOPPED, NULL, NULL);
	if (t->remove)
		run_remove(t);
	else
		server_wait(t->s, stopped_durable, t);
}

static void asked(const struct reply *r, void *arg)
{
	struct task *t = arg;
	if (t->s->overtaken) { /* it was taken for dead here, and is another manager's now */
		task_again(t);
		return;
	}
	if (!r->err || r->err == ERR_INSTANCE_NOT_FOUND) {
		ended(t);
		return;
	}
	/* what may have happened is seen when the instances are looked at; all else did not happen */
	if (r->err != ERR_UNCERTAIN && r->err != ERR_DEADLINE)
		task_go_back(t);
	if (r->err == ERR_CONFLICT)
		refuse(t, json_incref(r->details));
	else if (agent_away(r))
		fail_away(t, r);
	else
		task_refuse(t, t->remove ? ERR_SERVER_DELETE : ERR_SERVER_STOP, NULL, "the host's agent did not stop it: %s",
			    r->message);
}

static void accepted(int err, void *arg)
{
	struct task *t = arg;
	if (!t->call || t->wait || t->remove || t->refusal.err)
		return;
	if (err)
		store_fail(TAKE_PTR(t->call), err, ERR_SERVER_STOP);
	else
		task_answer(t, 202);
}

static void ask(struct task *t)
{
	struct server *s = t->s;
	struct manager *m = s->m;
	agent_call(m, s->place->name, m->agent.stop, s->id, json_pack("{s:b, s:b}", "force", t->force, "remove", t->remove), NULL,
		   t->call, asked, t);
}

static void go(struct task *t)
{
	struct server *s = t->s;
	task_remember(t);
	if (s->status != SERVER_STOPPED && s->status != SERVER_STOPPING)
		server_enter(s, SERVER_STOPPING, NULL, NULL);
	task_wait(t);
	task_claim(t, ask, accepted);
}

static void looked(const struct reply *r, void *arg)
{
	struct task *t = arg;
	const json_t *desktops = json_object_get(r->doc, "desktops");
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND) {
		if (agent_away(r))
			fail_away(t, r);
		else
			task_fail(t, t->remove ? ERR_SERVER_DELETE : ERR_SERVER_STOP,
				  "the host's agent could not say who is on it: %s", r->message);
		return;
	}
	if (!r->err && json_array_size(desktops)) {
		refuse(t, name_desktops(desktops));
		return;
	}
	go(t);
}

/* It never ran and is not about to: there is nothing of it on the host. */
static bool untouched(const struct server *s)
{
	return s->status == SERVER_STOPPED && !json_is_string(json_object_get(s->doc, "started_at")) &&
	       !json_is_string(json_object_get(s->doc, "stopped_at"));
}

void run_stop(struct task *t)
{
	struct server *s = t->s;
	struct manager *m = s->m;
	if (t->if_match && t->if_match != s->version) {
		task_fail(t, ERR_STALE, NULL);
	} else if (s->status == SERVER_STOPPED && !t->remove) {
		task_answer(t, 200);
		task_end(t);
	} else if (untouched(s)) {
		run_remove(t);
	} else if (t->force || s->status == SERVER_STOPPED) {
		go(t);
	} else {
		agent_call(m, s->place->name, m->agent.desktops, s->id, NULL, NULL, t->call, looked, t);
	}
}

void op_stop(struct call *c, void *m)
{
	struct server *s = server_of(m, c, op_stop);
	if (!s)
		return;
	struct task *t = task_new(c, run_stop);
	t->wait = doc_bool(call_query(c), "wait", false);
	t->force = doc_bool(call_query(c), "force", false);
	task_queue(s, t);
}

void op_delete(struct call *c, void *m)
{
	struct server *s = server_of(m, c, op_delete);
	if (!s)
		return;
	struct task *t = task_new(c, run_stop);
	t->remove = true;
	t->force = doc_bool(call_query(c), "force", false);
	t->if_match = call_if_match(c);
	task_queue(s, t);
}
