/* update: PUT and PATCH of a server. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_UPDATE_H
#define SERVERS_UPDATE_H

#include "roles/rdp-server-manager/manager.h"

void op_update(struct call *c, void *m);

#endif
