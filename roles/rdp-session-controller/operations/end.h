/* end: ends a session with its desktop, or cuts its connection, through the agent of its host. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_END_H
#define SESSIONS_END_H

#include "roles/rdp-session-controller/session/session.h"

/* Queues the end of a session without a caller. `ended` is called once, with err 0 or an error and what to do about it. */
void session_end(struct session *s, const char *reason, const char *by, void (*ended)(struct task *t, int err, const char *message), void *arg);
void op_session_terminate(struct call *c, void *controller);
void op_session_delete(struct call *c, void *controller);

#endif
