/* agent: calls to the agent of a host, made as the role itself, because the rights of a caller have been checked before. Floor F6, loop
 * thread only, never blocks. */
#ifndef SESSIONS_AGENT_H
#define SESSIONS_AGENT_H

#include "roles/rdp-session-controller/controller.h"

struct agent_args {
	const struct op *op;
	const char *node;
	const char *params[OP_MAX_PARAMS];
	json_t *query, *body; /* borrowed; NULL: none */
	const struct call *call; /* the call that it serves, or NULL */
};
void agent_ask(struct controller *s, const struct agent_args *a, call_done done, void *arg);
/* True if the heartbeat of the node has stopped. */
bool agent_unreachable(const struct controller *s, const char *node);
/* True if the failure says nothing about the desktop: the agent did not answer, or its answer was lost. */
bool agent_silent(const struct reply *r);

#endif
