/* agent_calls: calls to the agent of a node, made as the role itself. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_AGENT_CALLS_H
#define SERVERS_AGENT_CALLS_H

#include "roles/rdp-server-manager/manager.h"

/* Calls `op` on the agent of `node` (NULL: of this host). Consumes query and body. Uses the request id and trace of `c`, which may be NULL. If
 * the heartbeat of the node has stopped, `done` gets ERR_UNAVAILABLE at the end of the loop's turn. */
void agent_call(struct manager *m, const char *node, const struct op *op, const char *server_id, json_t *consume_query,
		json_t *consume_body, struct call *c, call_done done, void *arg);
/* True if the agent itself gave no answer: it is unreachable or busy, timed out, or the connection was lost. */
bool agent_away(const struct reply *r);
bool agent_absent(struct manager *m, const char *node); /* the node's heartbeat has stopped */

#endif
