/*
 * limits: the limits of a session, which the agent of its host keeps with the desktop, announces and applies: its own idle_timeout and
 * max_duration, and SESSION_TIMEOUT without a client. The controller that leads the node sends them when the desktop shows others. Floor F6,
 * loop thread only, never blocks.
 */
#ifndef SESSIONS_LIMITS_H
#define SESSIONS_LIMITS_H

#include "roles/rdp-session-controller/session/session.h"

/* Takes the limits from the document of the session. */
void session_limits_read(struct session *s, const json_t *doc);
/* Compares the wanted limits with those of the desktop in the last listing, and sends them if they differ. A lost request is repeated after
 * the next listing. */
void session_limits_check(struct session *s);
/* The same for all sessions, after a change of settings. */
void limits_check_all(struct controller *c);
/* The agent announced that a limit of a desktop expires: publishes session.expiring. */
void session_limit_expires(struct watched *w, const json_t *announcement);

#endif
