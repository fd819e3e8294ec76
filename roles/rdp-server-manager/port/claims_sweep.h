/* claims_sweep: releases claims of ports and names without a server. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_CLAIMS_SWEEP_H
#define SERVERS_CLAIMS_SWEEP_H

#include "roles/rdp-server-manager/manager.h"

#define STRAYS_MAX 10000 /* claims without a server that are remembered between sweeps */

void claims_sweep(struct manager *m); /* does nothing within 5 minutes of the last sweep */

#endif
