/* look: lists the desktops of a server, and compares them with its sessions. An event of the agent requests a listing; it replaces all
 * events missed before it. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_LOOK_H
#define SESSIONS_LOOK_H

#include "roles/rdp-session-controller/watch/server.h"

/* Requests a listing. One in progress does not count: it may have been made too early. */
void look_at(struct watched *w);
/* Acts on a listing that is known to be empty: the server has no instance. */
void look_found_none(struct watched *w, int64_t asked_us);

#endif
