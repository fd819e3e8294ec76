/* quotas: how many sessions there may be: MAX_CONCURRENT_SESSIONS, MAX_SESSIONS_PER_USER, desktop.max_sessions of a server. Sessions that
 * have ended do not count. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_QUOTAS_H
#define SESSIONS_QUOTAS_H

#include "roles/rdp-session-controller/session/session.h"

/* The sessions that have not ended: of a user, or of all users (NULL). */
size_t sessions_live(struct controller *c, const char *user);
/* `user` has `has` sessions, and there are `all`, without the one that is asked for. True: that is allowed. False: the call was answered. */
bool session_quota_allows(struct controller *c, struct call *call, const char *user, int64_t has, int64_t all);
/* The same for a session on this server. `server` is its definition. sesman does not know orphaned desktops, so these do not count. */
bool server_quota_allows(const struct watched *w, struct call *call, const json_t *server);

#endif
