/* export: the list of sessions as CSV, of any length. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_EXPORT_H
#define SESSIONS_EXPORT_H

#include "roles/rdp-session-controller/controller.h"

/* Answers a call of the list with all sessions that match and the viewer sees (sessions_query). */
void sessions_export(struct controller *c, struct call *call, const char *viewer);

#endif
