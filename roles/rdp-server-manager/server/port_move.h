/* port_move: moves a new server to another port if a foreign process listens on its own. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_PORT_MOVE_H
#define SERVERS_PORT_MOVE_H

#include "roles/rdp-server-manager/server/server.h"

void run_port_move(struct task *t, void (*then)(struct object_task *t));

#endif
