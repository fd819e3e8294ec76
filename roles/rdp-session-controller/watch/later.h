/* later: requests a comparison of all sessions with what runs (reconcile.h), soon and once for many requests. Floor F6, loop thread only,
 * never blocks. */
#ifndef SESSIONS_LATER_H
#define SESSIONS_LATER_H

#include "roles/rdp-session-controller/controller.h"

void follow_later(struct controller *c);
/* The same in a few seconds, after something failed. */
void follow_retry(struct controller *c);

#endif
