/* nodes_api: GET and PUT of nodes. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_NODES_API_H
#define SERVERS_NODES_API_H

#include "roles/rdp-server-manager/manager.h"

void op_nodes(struct call *c, void *m);
void op_node(struct call *c, void *m);
void op_node_put(struct call *c, void *m);

#endif
