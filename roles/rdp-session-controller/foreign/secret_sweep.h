/* secret_sweep: the stored passwords of foreign RDP hosts, looked at one after the other: those that a previous MASTER_KEY has sealed are sealed
 * again with the current one, those whose session has ended or does not exist are deleted, and those that cannot be opened are reported in the
 * log. Done by the process that follows these sessions, every ten minutes and after a change of settings. Floor F6, loop thread only, never
 * blocks. */
#ifndef SESSIONS_SECRET_SWEEP_H
#define SESSIONS_SECRET_SWEEP_H

#include "roles/rdp-session-controller/controller.h"

void secret_sweep_begin(struct controller *c);
void secret_sweep_soon(struct controller *c);
void secret_sweep_end(struct controller *c); /* after the objects were drained */

#endif
