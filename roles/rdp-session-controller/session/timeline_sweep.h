/* timeline_sweep: entries of timelines whose session does not exist are deleted. They are left if a controller dies, or the store fails, between
 * deleting a session and its entries. Done by the process that follows the sessions on foreign RDP hosts: an hour after the last pass, when
 * it starts, and when it takes over. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_TIMELINE_SWEEP_H
#define SESSIONS_TIMELINE_SWEEP_H

#include "roles/rdp-session-controller/controller.h"

void timeline_sweep_begin(struct controller *c);
void timeline_sweep_soon(struct controller *c);
void timeline_sweep_end(struct controller *c); /* after the objects were drained */

#endif
