#include "roles/rdp-session-controller/agent.h"

#include "lucid/nodes.h"
#include "lucid/str.h"

bool agent_unreachable(const struct controller *s, const char *node)
{
	const struct node_info *info = s->one_host || !*node ? NULL : nodes_find(s->env.nodes, node);
	return info && info->status == NODE_UNREACHABLE;
}

void agent_ask(struct controller *s, const struct agent_args *a, call_done done, void *arg)
{
	struct call_args onward = { 0 };
	if (a->call)
		call_onward(a->call, &onward);
	struct call_args args = { .op = a->op, .node = s->one_host ? NULL : a->node, .query = a->query, .body = a->body, .request_id = onward.request_id, .trace = onward.trace,
				  .hops = onward.hops };
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		args.params[i] = a->params[i];
	if (a->call && str_eq(a->op->verb, "GET")) /* so that the handler can still answer without it */
		args.deadline_ms = (unsigned)MIN(MAX((int64_t)onward.deadline_ms / 2, 1), (int64_t)a->op->deadline_ms);
	bus_call(s->env.bus, &args, done, arg);
}

bool agent_silent(const struct reply *r)
{
	return r->err == ERR_UNAVAILABLE || r->err == ERR_BUSY || r->err == ERR_DEADLINE || r->err == ERR_UNCERTAIN || r->err == ERR_CANCELLED;
}
