/* later: requests a comparison of all servers with their instances (reconcile.h) in a few seconds, after something failed. Floor F6, loop
 * thread only, never blocks. */
#ifndef SERVERS_LATER_H
#define SERVERS_LATER_H

#include "roles/rdp-server-manager/manager.h"

void reconcile_retry(struct manager *m);

#endif
