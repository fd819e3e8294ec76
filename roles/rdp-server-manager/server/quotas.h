/* quotas: how many servers a user may have, and how many may run. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_QUOTAS_H
#define SERVERS_QUOTAS_H

#include "roles/rdp-server-manager/manager.h"

size_t servers_live(const struct manager *m); /* number of servers that are not stopped */
/* 0; or -ERR_QUOTA, after the call (may be NULL) was answered. */
int quota_definition(struct manager *m, struct call *c, const char *user);
int quota_of(struct manager *m, struct call *c, const char *user, int64_t has);
int quota_live(struct manager *m, struct call *c);

#endif
