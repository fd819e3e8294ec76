/* sweep: what time does to sessions: declarations that nobody used expire, and ended sessions are forgotten after SESSION_HISTORY_DAYS. Each
 * process does it for the nodes that it leads. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_SWEEP_H
#define SESSIONS_SWEEP_H

#include "roles/rdp-session-controller/controller.h"

void sweep_begin(struct controller *c);
void sweep_end(struct controller *c);

#endif
