/* create: POST /servers. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_CREATE_H
#define SERVERS_CREATE_H

#include "roles/rdp-server-manager/manager.h"

void op_create(struct call *c, void *m);

#endif
