#include "roles/rdp-server-manager/agent_calls.h"

#include "lucid/nodes.h"
#include "lucid/str.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/server/server.h"

/* Calls to the agent of a host. They are made as the role itself, because the caller's rights have been checked before. */

/* A call to a node whose heartbeat has stopped fails at the end of the loop's turn, without waiting for a timeout. */
struct absent {
	struct loop_task task;
	call_done done;
	void *arg;
	char node[128];
};

static void tell_absent(struct loop_task *task)
{
	_cleanup_(xfreep) struct absent *w = CONTAINER_OF(task, struct absent, task);
	_cleanup_(xfreep) char *why = xasprintf("node %s is unreachable: its heartbeat has stopped", w->node);
	w->done(&(struct reply){ .err = ERR_UNAVAILABLE, .message = why }, w->arg);
}

bool agent_absent(struct manager *m, const char *node)
{
	const struct node_info *info = m->one_host || !node ? NULL : nodes_find(m->env.nodes, node);
	return info && info->status == NODE_UNREACHABLE;
}

static bool is_absent(struct manager *m, const char *node, call_done done, void *arg)
{
	if (!agent_absent(m, node))
		return false;
	struct absent *w = XNEW(struct absent);
	w->done = done;
	w->arg = arg;
	str_copy(w->node, sizeof w->node, node);
	loop_task_init(&w->task, tell_absent);
	loop_defer(m->env.loop, &w->task);
	return true;
}

void agent_call(struct manager *m, const char *node, const struct op *op, const char *server_id, json_t *query, json_t *body,
		struct call *c, call_done done, void *arg)
{
	struct call_args a = { 0 };
	if (is_absent(m, node, done, arg)) {
		json_decref(query);
		json_decref(body);
		return;
	}
	if (c)
		call_onward(c, &a);
	struct call_args args = { .op = op, .node = m->one_host ? NULL : node, .query = query, .body = body,
				  .request_id = a.request_id, .trace = a.trace, .hops = a.hops };
	/* a read may take at most half of the caller's remaining time, so that the handler can still respond without it */
	if (c && op->verb && str_eq(op->verb, "GET"))
		args.deadline_ms = MIN(MAX(a.deadline_ms / 2, 1), op->deadline_ms);
	char names[OP_MAX_PARAMS][32];
	if (op_param_names(op, names))
		args.params[0] = server_id;
	bus_call(m->env.bus, &args, done, arg);
	json_decref(query);
	json_decref(body);
}

bool agent_away(const struct reply *r)
{
	return r->err == ERR_UNAVAILABLE || r->err == ERR_BUSY || r->err == ERR_DEADLINE || r->err == ERR_UNCERTAIN ||
	       r->err == ERR_CANCELLED;
}
