/* read: GET of one server, its status, configuration and logs. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_READ_H
#define SERVERS_READ_H

#include "roles/rdp-server-manager/manager.h"

void op_get(struct call *c, void *m);
void op_status(struct call *c, void *m);
void op_config(struct call *c, void *m);
void op_logs(struct call *c, void *m);
void op_log_file(struct call *c, void *m);

#endif
