#include "roles/rdp-session-controller/session/kind.h"

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/foreign/secret.h"
#include "roles/rdp-session-controller/foreign/secret_sweep.h"
#include "roles/rdp-session-controller/session/limits.h"
#include "roles/rdp-session-controller/session/timeline.h"
#include "roles/rdp-session-controller/session/timeline_sweep.h"
#include "roles/rdp-session-controller/watch/absence.h"
#include "roles/rdp-session-controller/watch/look.h"
#include "roles/rdp-session-controller/watch/quotas_tell.h"
#include "roles/rdp-session-controller/watch/reconcile.h"

#define PASS_EACH_MS 10
#define SESSIONS_MAX 1000000 /* records, with those of the history */

static int64_t doc_time_ms(const json_t *doc, const char *key)
{
	int64_t ms = 0;
	return clock_from_iso(doc_str(doc, key, ""), &ms) ? ms : 0;
}

/* The owner of the server is the user in the list besides the session's own. */
static const char *other_viewer(struct session *s, const json_t *doc)
{
	const char *user = doc_str(doc, "user_id", "");
	json_t *viewer;
	size_t i;
	json_array_foreach(json_object_get(doc, "visible_to"), i, viewer)
		if (json_is_string(viewer) && !str_eq(json_string_value(viewer), user))
			return controller_name(session_controller(s), json_string_value(viewer));
	return "";
}

static void read_since(struct session *s, int64_t since_ms)
{
	if (since_ms == s->since_ms)
		return;
	s->since_ms = since_ms;
	s->before_ms = MAX(clock_wall_ms() - since_ms, 0);
	s->before_us = clock_mono_us();
}

static void session_read(struct object *o, const json_t *doc)
{
	struct session *s = (struct session *)o;
	struct controller *c = session_controller(s);
	if (!s->server) {
		list_init(&s->live);
		s->server = foreign_doc(doc) ? c->foreign : watched_of(c, doc_str(doc, "server_id", ""));
		if (s->server && !*s->server->node)
			s->server->node = controller_name(c, doc_str(doc, "node", ""));
	}
	int display = (int)doc_int(doc, "display", 0);
	if (display || !s->observing) { /* otherwise it was joined with a desktop just now, and that is not written yet */
		s->display = display;
		s->desktop_ms = doc_time_ms(doc, "started_at");
	}
	if (!str_copy(s->connection, sizeof s->connection, doc_str(doc, "connection_id", "")))
		s->connection[0] = 0;
	s->sealed = doc_bool(json_object_get(doc, "rdp_config"), "has_password", false);
	s->server_owner = other_viewer(s, doc);
	s->unreachable = str_eq(doc_str(doc, "status_reason", ""), NODE_UNREACHABLE_REASON);
	s->created_ms = doc_time_ms(doc, "created_at");
	s->ended_ms = doc_time_ms(doc, "stopped_at");
	read_since(s, doc_time_ms(doc, "status_since"));
	quotas_changed(c);
	session_limits_read(s, doc);
	if (session_ended(s))
		list_remove(&s->live);
	else if (s->server && list_empty(&s->live))
		list_append(&s->server->sessions, &s->live);
}

/* Its desktop may still be in a listing that was requested before: that is not a new session. */
static void session_dropped(struct object *o)
{
	struct session *s = (struct session *)o;
	list_remove(&s->live);
	if (s->display && s->server)
		watched_end_add(s->server, s->display, s->desktop_ms)->known = true;
	quotas_changed(session_controller(s));
}

static bool session_visible(const struct object *o, const struct caller *c)
{
	return object_visible(c, o->owner->id) || (*c->sub && str_eq(((const struct session *)o)->server_owner, c->sub));
}

static const char *session_viewer(const struct object *o)
{
	return ((const struct session *)o)->server_owner;
}

static void session_describe(const struct object *o, json_t *data)
{
	static const char *const told[] = { "server_id", "node", "username", "display", "client_address" };
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		json_object_set(data, told[i], json_object_get(o->doc, told[i]));
}

static void session_entered(struct object *o, unsigned status)
{
	struct session *s = (struct session *)o;
	if (session_status_ended(status))
		metric_add(session_controller(s)->metrics.terminated, 1);
	if (session_status_ended(status) && s->sealed) {
		s->sealed = false;
		secret_forget(s);
	}
	timeline_entered(s, status);
	quotas_changed(object_ctx(o));
}

static void sweeps_soon(struct controller *c)
{
	secret_sweep_soon(c);
	timeline_sweep_soon(c);
}

static void place_lead(struct object_group *g, bool held)
{
	const char *what = *g->name ? "sessions of node " : "sessions on foreign RDP hosts";
	log_info(SERVICE, held ? "this process now follows the %s%s" : "another process follows the %s%s", what, g->name);
	((struct place *)g)->fully = true;
	((struct place *)g)->lost = false; /* another process knows that now, or this one will */
	((struct place *)g)->lost_us = 0;
	if (held && !*g->name)
		sweeps_soon(objects_ctx(g->set));
	else if (held)
		follow_place((struct place *)g);
}

static void sessions_loaded(struct objects *set)
{
	log_info(SERVICE, "%zu sessions loaded", objects_count(set));
	follow_all(objects_ctx(set));
	sweeps_soon(objects_ctx(set));
}

static void sessions_scan(struct objects *set)
{
	follow_lead(objects_ctx(set));
}

static int64_t sessions_pass_ms(struct objects *set)
{
	const struct controller *c = objects_ctx(set);
	int64_t interval_ms = config_int(c->env.config, "HEALTH_CHECK_INTERVAL") * 1000;
	return MAX(interval_ms, (int64_t)objects_count(set) * PASS_EACH_MS); /* a pass reads the whole history */
}

static void session_task_free(struct object_task *t)
{
	json_decref(task_of(t)->body);
	free(task_of(t)->reason);
	free(task_of(t)->by);
	json_decref(task_of(t)->connections);
	json_decref(task_of(t)->outcome);
	json_decref(task_of(t)->secret);
}

static void session_task_ended(struct object_task *t)
{
	if (t->run == run_session_observe) /* also if the task ended without running */
		((struct session *)t->object)->observing = false;
	((struct session *)t->object)->absence_queued &= !absence_task(t);
	if (task_of(t)->ended) /* it did not run */
		task_of(t)->ended(task_of(t), ERR_SESSION_NOT_FOUND, err_text(ERR_SESSION_NOT_FOUND));
}

const struct object_kind session_kind = {
	.name = "session",
	.plural = "sessions",
	.service = SERVICE,
	.collection = COL_SESSIONS,
	.id_field = "session_id",
	.owner_field = "user_id",
	.group_field = "node",
	.state_field = "status",
	.reason_field = "status_reason",
	.topic = "session",
	.lease = "sessions",
	.figure = "rdp_sessions_total",
	.figure_help = "Sessions, by status. Ended ones are counted until their history is purged.",
	.missing = ERR_SESSION_NOT_FOUND,
	.states = session_states,
	.nstates = SESSION_STATUS_COUNT,
	.unknown = SESSION_FAILED,
	.transitions = session_transitions,
	.ntransitions = SESSION_TRANSITIONS,
	.written = (const char *const[]){ "username", "client_address", "connection_id", "display", "status_since", "started_at", "stopped_at",
					  "ended_by", "rdp_config", "statistics", "visible_to", NULL },
	.size = sizeof(struct session),
	.group_size = sizeof(struct place),
	.task_size = sizeof(struct task),
	.max = SESSIONS_MAX,
	.valid_id = session_id_ok,
	.visible = session_visible,
	.viewer = session_viewer,
	.describe = session_describe,
	.entered = session_entered,
	.read = session_read,
	.dropped = session_dropped,
	.lead = place_lead,
	.task_ended = session_task_ended,
	.task_free = session_task_free,
	.loaded = sessions_loaded,
	.scan = sessions_scan,
	.pass_ms = sessions_pass_ms,
};
