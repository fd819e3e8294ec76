/* figures: GET of the statistics of one session, and the summary of all. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_FIGURES_H
#define SESSIONS_FIGURES_H

#include "lucid/bus.h"

void op_session_statistics(struct call *c, void *controller);
void op_sessions_summary(struct call *c, void *controller);

#endif
