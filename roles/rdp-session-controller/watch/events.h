/* events: what the controller subscribes to: events of agents, of rdp-server-manager, and gaps. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_EVENTS_H
#define SESSIONS_EVENTS_H

#include "roles/rdp-session-controller/controller.h"

void events_begin(struct controller *c);
void events_end(struct controller *c);

#endif
