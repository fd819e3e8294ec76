/* declare: stores the session of a checked declaration, within the quotas. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_DECLARE_H
#define SESSIONS_DECLARE_H

#include "roles/rdp-session-controller/watch/server.h"

/* The body of the call is the declaration; w: its server, or controller->foreign. Answers the call. */
void session_declare(struct controller *c, struct call *call, struct watched *w);

#endif
