/* leader: the leases of this manager: one for the servers of each node, one for claims without a server. Floor F6, loop thread only, never
 * blocks. */
#ifndef SERVERS_LEADER_H
#define SERVERS_LEADER_H

#include "roles/rdp-server-manager/manager.h"

void node_leader_want(struct manager *m); /* request the leases of all known nodes, and go on trying */
void node_leader_end(struct manager *m);  /* release them */

#endif
