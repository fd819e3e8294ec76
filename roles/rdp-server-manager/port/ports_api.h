/* ports_api: GET /ports. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_PORTS_API_H
#define SERVERS_PORTS_API_H

#include "roles/rdp-server-manager/manager.h"

void op_ports(struct call *c, void *m);

#endif
