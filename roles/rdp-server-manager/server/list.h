/* list: GET /servers. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_LIST_H
#define SERVERS_LIST_H

#include "roles/rdp-server-manager/manager.h"

void op_list(struct call *c, void *m);

#endif
