/* observe: reads the instance of one server from the agent and adjusts the server's status. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_OBSERVE_H
#define SERVERS_OBSERVE_H

#include "roles/rdp-server-manager/server/server.h"

void server_observe(struct server *s); /* queues an observation unless one is queued */
void run_observe(struct object_task *t);

#endif
