/* start: start and restart of a server. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_START_H
#define SERVERS_START_H

#include "roles/rdp-server-manager/manager.h"

#define CUT_OFF_MAX 10 /* consecutive interrupted starts after which none is retried: the start itself may crash the agent */

void op_start(struct call *c, void *m);
void op_restart(struct call *c, void *m);
void run_start(struct object_task *t);

#endif
