/* stop: stop of a server, and the first half of its deletion. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_STOP_H
#define SERVERS_STOP_H

#include "roles/rdp-server-manager/manager.h"

void op_stop(struct call *c, void *m);
void op_delete(struct call *c, void *m);
void run_stop(struct object_task *t); /* with `remove` set: then delete it */

#endif
