/* probe: finds a free port of a node. It is tested with bind() if the agent of the node is in this process; otherwise the agent checks. Floor F6,
 * loop thread only, never blocks. */
#ifndef SERVERS_PROBE_H
#define SERVERS_PROBE_H

#include "roles/rdp-server-manager/node/place.h"

#define PORT_TRIES 64 /* ports tried for one server */

/* Allocates the next free port; 0: none is free. */
int port_take(struct place *p);
/* True if another program listens on the port, which is then marked as blocked. */
bool port_is_foreign(struct place *p, int port);

#endif
