/* delete: removes the record of a session; of a live one, after it has ended (terminate.h). Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_DELETE_H
#define SESSIONS_DELETE_H

#include "roles/rdp-session-controller/session/session.h"

void run_session_delete(struct object_task *t); /* of a session that has ended; ends the task */

#endif
