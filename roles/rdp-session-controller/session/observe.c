#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/session/define.h"
#include "roles/rdp-session-controller/session/limits.h"
#include "roles/rdp-session-controller/session/timeline.h"
#include "roles/rdp-session-controller/watch/look.h"

/* Brings a session in line with its desktop, as the last listing of its server shows it. */

#define FIRST_CLIENT_MS 4000

/* What the agent says about the end of a desktop, and the status that follows from it. */
static const struct {
	const char *reason;
	enum session_status status;
} ends[] = {
	{ "start_failed", SESSION_FAILED },
	{ "disconnected_timeout", SESSION_EXPIRED },
	{ "idle_timeout", SESSION_EXPIRED },
	{ "max_duration", SESSION_EXPIRED },
};

static void desktop_ended(struct session *s, const char *reason)
{
	enum session_status to = SESSION_TERMINATED;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (str_eq(reason, ends[i].reason))
			to = ends[i].status;
	if (!object_may(&s->o, to, reason))
		to = SESSION_TERMINATED;
	session_enter(s, to, reason, NULL);
}

/* The listing does not have its desktop: it has ended. All that is known of a desktop comes from listings, so none is older than that. */
static void observed_none(struct session *s)
{
	if (session_ended(s) || !s->display)
		return;
	const struct desktop_end *e = watched_end_of(s->server, s->display, s->desktop_ms);
	desktop_ended(s, e && e->doc ? doc_str(e->doc, "reason", "ended") : "ended");
}

/* A client took the desktop over from another one without a moment in between. */
static void connection_changed(struct session *s, const json_t *desktop)
{
	json_t *statistics = json_copy(json_object_get(s->o.doc, "statistics"));
	if (statistics) {
		int64_t n = doc_int(statistics, "connections", 0) + 1;
		doc_set_int(statistics, "connections", n);
		doc_set_int(statistics, "reconnects", n - 1);
		object_touch(&s->o, "statistics", statistics);
	}
	json_t *data = json_object();
	doc_set_str(data, "status", object_state_name(&s->o));
	doc_set_str(data, "server_id", s->server->id);
	doc_set_int(data, "version", s->o.version);
	doc_set_str(data, "client_address", doc_str(desktop, "client_address", NULL));
	object_publish(&s->o, "reconnected", data);
	timeline_add(s, s->o.doc, "reconnected", "");
}

static void take_connection(struct session *s, const json_t *desktop)
{
	static const char *const members[] = { "client_address", "connection_id" };
	const char *id = doc_str(desktop, "connection_id", "");
	bool another = s->o.state == SESSION_ACTIVE && *id && *s->connection && !str_eq(id, s->connection);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		object_touch(&s->o, members[i], json_incref(json_object_get(desktop, members[i])));
	if (!str_copy(s->connection, sizeof s->connection, id))
		s->connection[0] = 0;
	if (another)
		connection_changed(s, desktop);
}

/* Its own user stays, also if RDP_USER_MAP has changed. */
static void take_owner(struct session *s)
{
	const struct watched *w = s->server;
	if (!w->current || str_eq(s->server_owner, str_eq(w->owner, s->o.owner->id) ? "" : w->owner))
		return;
	object_touch(&s->o, "visible_to", session_visible_to(s->o.owner->id, w->owner));
	s->server_owner = str_eq(w->owner, s->o.owner->id) ? "" : w->owner;
}

/* A desktop exists a moment before the connection that it is for is known to show it. */
static bool awaits_client(struct session *s, enum session_status to)
{
	if (s->o.state != SESSION_CREATED || to != SESSION_DISCONNECTED)
		return false;
	if (!s->seen_us)
		s->seen_us = clock_mono_us();
	return clock_mono_us() - s->seen_us < FIRST_CLIENT_MS * 1000;
}

static void observed(struct session *s, const json_t *desktop)
{
	static const char *const members[] = { "username", "display", "started_at", "client_address", "connection_id" };
	enum session_status to = session_status_of_desktop(doc_str(desktop, "status", ""));
	if (session_ended(s) && s->o.changed_us >= s->server->asked_us)
		return; /* it ended after that listing was requested */
	if (awaits_client(s, to))
		return;
	if (to != s->o.state) {
		json_t *extra = json_object();
		for (size_t i = 0; i < ARRAY_LEN(members); i++)
			json_object_set(extra, members[i], json_object_get(desktop, members[i]));
		if (session_enter(s, to, NULL, extra))
			str_copy(s->connection, sizeof s->connection, doc_str(desktop, "connection_id", ""));
	} else {
		take_connection(s, desktop);
	}
	take_owner(s);
}

void run_session_observe(struct object_task *on)
{
	struct session *s = task_session(task_of(on));
	const struct watched *w = s->server;
	if (w && w->desktops && !objects_draining(s->o.set)) {
		const json_t *desktop = s->display ? watched_desktop(w, s->display, s->desktop_ms) : NULL;
		if (desktop)
			observed(s, desktop);
		else
			observed_none(s);
		session_limits_check(s);
	}
	object_task_end(on);
}

void session_observe(struct session *s)
{
	if (s->observing || s->o.gone)
		return;
	s->observing = true;
	object_queue(&s->o, &session_task(session_controller(s), NULL, run_session_observe)->on);
}
