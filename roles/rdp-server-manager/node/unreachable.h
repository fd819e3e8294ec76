/* unreachable: sets and clears the status_reason of servers whose node is unreachable. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_UNREACHABLE_H
#define SERVERS_UNREACHABLE_H

#include "roles/rdp-server-manager/manager.h"

void unreachable_update(struct manager *m);
bool unreachable_said(const json_t *doc);

#endif
