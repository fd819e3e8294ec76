/* connection: how to connect to a server: GET connection, and the .rdp file. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_CONNECTION_H
#define SERVERS_CONNECTION_H

#include "roles/rdp-server-manager/manager.h"

void op_connection(struct call *c, void *m);
void op_rdp_file(struct call *c, void *m);

#endif
