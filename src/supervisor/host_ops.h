/* host_ops: serves the host operations on the supervisor's bus. Floor F5. Each row host.* is bound to the entry of src/host with its name. */
#ifndef SUPERVISOR_HOST_OPS_H
#define SUPERVISOR_HOST_OPS_H

#include "host/host.h"
#include "lucid/bus.h"

void host_ops_serve(struct loop *l, struct bus *b, struct host *h);

#endif
