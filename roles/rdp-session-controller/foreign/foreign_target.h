/* foreign_target: POST /sessions with an rdp_config: tries the RDP host before the session is stored. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_FOREIGN_TARGET_H
#define SESSIONS_FOREIGN_TARGET_H

#include "roles/rdp-session-controller/controller.h"

void foreign_begin(struct controller *c);
/* Takes RDP_TARGETS_ALLOWED of the settings. */
void foreign_allow(struct controller *c, const struct config *config);
void foreign_end(struct controller *c); /* cancels what is being tried */
/* Answers the call: the host is tried, and the session is declared if an RDP server responds. */
void foreign_declare(struct controller *c, struct call *call);

#endif
