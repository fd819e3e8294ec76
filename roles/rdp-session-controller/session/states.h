/* states: the states of a session and the transitions between them, as tables. Floor F6, pure. */
#ifndef SESSIONS_STATES_H
#define SESSIONS_STATES_H

#include "lucid/object.h"

enum session_status {
	SESSION_CREATED,
	SESSION_ACTIVE,
	SESSION_DISCONNECTED,
	SESSION_ORPHANED, /* the sesman of its desktop is gone: the desktop lives, but no client can connect to it */
	SESSION_TERMINATED,
	SESSION_FAILED,
	SESSION_EXPIRED,
	SESSION_STATUS_COUNT
};
#define SESSION_TRANSITIONS 29
extern const struct object_state session_states[SESSION_STATUS_COUNT];
extern const struct object_transition session_transitions[SESSION_TRANSITIONS];

/* Its desktop is gone, or there never was one and none is awaited. */
static inline bool session_status_ended(unsigned status)
{
	return status >= SESSION_TERMINATED;
}
/* The status of a session whose desktop the agent reports as "active", "disconnected" or "orphaned". */
enum session_status session_status_of_desktop(const char *status);

#endif
