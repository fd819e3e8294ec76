#include "roles/rdp-server-manager/servers.h"

/* What the manager asks of a host. It asks as the role itself: whether the caller may was settled before. */
void agent_call(struct manager *m, const char *node, const struct op *op, const char *server_id, json_t *query, json_t *body,
		struct call *c, call_done done, void *arg)
{
	struct call_args a = { 0 };
	if (c)
		call_onward(c, &a);
	struct call_args args = { .op = op, .node = m->one_host ? NULL : node, .query = query, .body = body,
				  .request_id = a.request_id, .trace = a.trace, .hops = a.hops };
	char names[OP_MAX_PARAMS][32];
	if (op_param_names(op, names))
		args.params[0] = server_id;
	bus_call(m->env.bus, &args, done, arg);
	json_decref(query);
	json_decref(body);
}

/* The agent did not answer as itself: it is away, too busy, or the connection was lost. */
bool agent_away(const struct reply *r)
{
	return r->err == ERR_UNAVAILABLE || r->err == ERR_BUSY || r->err == ERR_DEADLINE || r->err == ERR_UNCERTAIN ||
	       r->err == ERR_CANCELLED;
}
