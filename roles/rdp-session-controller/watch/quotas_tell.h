/*
 * quotas_tell: tells the agent of each node that this process follows how many sessions there may be, and how many there are outside its
 * host, so that it can refuse a login without asking. Floor F6, loop thread only, never blocks.
 *
 * Sent a moment after a change, and with each comparison (reconcile.h), because an agent forgets it.
 */
#ifndef SESSIONS_QUOTAS_TELL_H
#define SESSIONS_QUOTAS_TELL_H

#include "roles/rdp-session-controller/watch/server.h"

void quotas_tell_begin(struct controller *c);
void quotas_tell_end(struct controller *c);
/* A session has begun or ended, or a bound has changed. */
void quotas_changed(struct controller *c);
void quotas_tell(struct place *p);

#endif
