#include "roles/rdp-session-controller/session/states.h"

#include "lucid/str.h"

const struct object_state session_states[SESSION_STATUS_COUNT] = {
	[SESSION_CREATED] = { "created", false, SESSION_CREATED },
	[SESSION_ACTIVE] = { "active", false, SESSION_ACTIVE },
	[SESSION_DISCONNECTED] = { "disconnected", false, SESSION_DISCONNECTED },
	[SESSION_ORPHANED] = { "orphaned", false, SESSION_ORPHANED },
	[SESSION_TERMINATED] = { "terminated", false, SESSION_TERMINATED },
	[SESSION_FAILED] = { "failed", false, SESSION_FAILED },
	[SESSION_EXPIRED] = { "expired", false, SESSION_EXPIRED },
};

/* A session that has ended becomes live again only if its desktop turns out to live: the answer to its end was lost, and the desktop
 * survived. */
const struct object_transition session_transitions[SESSION_TRANSITIONS] = {
	{ SESSION_CREATED, SESSION_ACTIVE, .event = "started" },
	{ SESSION_CREATED, SESSION_DISCONNECTED, .event = "started" },
	{ SESSION_CREATED, SESSION_ORPHANED, .event = "started" },
	{ SESSION_CREATED, SESSION_TERMINATED, .event = "terminated" },
	{ SESSION_CREATED, SESSION_FAILED, .event = "failed" },
	{ SESSION_CREATED, SESSION_EXPIRED, .event = "expired" },
	{ SESSION_ACTIVE, SESSION_DISCONNECTED, .event = "disconnected" },
	{ SESSION_ACTIVE, SESSION_ORPHANED, .event = "orphaned" },
	{ SESSION_ACTIVE, SESSION_TERMINATED, .event = "terminated" },
	{ SESSION_ACTIVE, SESSION_FAILED, .event = "failed" },
	{ SESSION_ACTIVE, SESSION_EXPIRED, .event = "expired" },
	{ SESSION_DISCONNECTED, SESSION_ACTIVE, .event = "reconnected" },
	{ SESSION_DISCONNECTED, SESSION_ORPHANED, .event = "orphaned" },
	{ SESSION_DISCONNECTED, SESSION_TERMINATED, .event = "terminated" },
	{ SESSION_DISCONNECTED, SESSION_FAILED, .event = "failed" },
	{ SESSION_DISCONNECTED, SESSION_EXPIRED, .event = "expired" },
	{ SESSION_ORPHANED, SESSION_ACTIVE, .event = "reconnected" },
	{ SESSION_ORPHANED, SESSION_DISCONNECTED, .event = "disconnected" },
	{ SESSION_ORPHANED, SESSION_TERMINATED, .event = "terminated" },
	{ SESSION_ORPHANED, SESSION_EXPIRED, .event = "expired" },
	{ SESSION_TERMINATED, SESSION_ACTIVE },
	{ SESSION_TERMINATED, SESSION_DISCONNECTED },
	{ SESSION_TERMINATED, SESSION_ORPHANED },
	{ SESSION_FAILED, SESSION_ACTIVE },
	{ SESSION_FAILED, SESSION_DISCONNECTED },
	{ SESSION_FAILED, SESSION_ORPHANED },
	{ SESSION_EXPIRED, SESSION_ACTIVE },
	{ SESSION_EXPIRED, SESSION_DISCONNECTED },
	{ SESSION_EXPIRED, SESSION_ORPHANED },
};

enum session_status session_status_of_desktop(const char *status)
{
	if (str_eq(status, "active"))
		return SESSION_ACTIVE;
	return str_eq(status, "orphaned") ? SESSION_ORPHANED : SESSION_DISCONNECTED;
}
