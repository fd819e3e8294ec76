/* delete: deletes a stopped server and its claims from the store. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_DELETE_H
#define SERVERS_DELETE_H

#include "roles/rdp-server-manager/manager.h"

void run_delete(struct object_task *t);

#endif
