/* reconcile: compares all sessions of a node with what its agent says: at start, periodically, after a gap in events, and when an agent
 * comes back. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_RECONCILE_H
#define SESSIONS_RECONCILE_H

#include "roles/rdp-session-controller/watch/server.h"

void follow_all(struct controller *c);
void follow_place(struct place *p);
void follow_lead(struct controller *c); /* requests the leases of all known nodes */

#endif
