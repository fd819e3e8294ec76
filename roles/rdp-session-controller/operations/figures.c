#include "roles/rdp-session-controller/operations/figures.h"

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/session/kind.h"
#include "roles/rdp-session-controller/operations/read.h"
#include "roles/rdp-session-controller/session/session.h"

/* --- one session: what is stored, the time of its present status, and what its open connections have transferred */

static int64_t time_in(const json_t *doc, const char *key)
{
	int64_t ms = 0;
	return clock_from_iso(doc_str(doc, key, ""), &ms) ? ms : 0;
}

static void add_figure(json_t *doc, const char *key, int64_t n)
{
	doc_set_int(doc, key, doc_int(doc, key, 0) + n);
}

static json_t *figures_of(struct session_reading *r)
{
	const char *status = doc_str(r->doc, "status", "");
	json_t *out = json_object();
	static const char *const same[] = { "session_id", "status", "status_since", "started_at", "stopped_at" };
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(out, same[i], json_object_get(r->doc, same[i]));
	json_object_update(out, json_object_get(r->doc, "statistics"));
	const struct session *s = (struct session *)objects_find(r->c->objects, doc_str(r->doc, "session_id", ""));
	int64_t now_ms = s ? session_status_ms(s) : MAX(clock_wall_ms() - time_in(r->doc, "status_since"), 0);
	if (str_eq(status, "active") || str_eq(status, "disconnected"))
		add_figure(out, str_eq(status, "active") ? "connected_ms" : "disconnected_ms", now_ms);
	doc_set_int(out, "total_ms", doc_int(out, "connected_ms", 0) + doc_int(out, "disconnected_ms", 0));
	doc_set(out, "idle_seconds", NULL);
	doc_set(out, "latency_ms", NULL);
	doc_set_str(out, "agent", "available");
	return out;
}

struct measuring {
	struct session_reading *r;
	json_t *out;
};

static void measuring_end(struct measuring *m)
{
	call_ok(m->r->call, m->out);
	session_read_end(m->r);
	free(m);
}

static struct agent_args agent_about(const struct measuring *m, const struct op *op)
{
	return (struct agent_args){ .op = op, .node = doc_str(m->r->doc, "node", ""), .params = { doc_str(m->r->doc, "server_id", "") }, .call = m->r->call };
}

static void connections_measured(const struct reply *r, void *arg)
{
	struct measuring *m = arg;
	json_t *connection;
	size_t i;
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND)
		doc_set_str(m->out, "agent", "away");
	json_array_foreach(r->err ? NULL : json_object_get(r->doc, "connections"), i, connection)
	{
		if (doc_int(connection, "display", 0) != doc_int(m->r->doc, "display", -1))
			continue;
		add_figure(m->out, "bytes_in", doc_int(connection, "bytes_in", 0));
		add_figure(m->out, "bytes_out", doc_int(connection, "bytes_out", 0));
		/* of several connections to one desktop, the one that the session shows */
		if (str_eq(doc_str(connection, "id", ""), doc_str(m->r->doc, "connection_id", "")))
			json_object_set(m->out, "latency_ms", json_object_get(connection, "latency_ms"));
	}
	measuring_end(m);
}

static void desktops_measured(const struct reply *r, void *arg)
{
	struct measuring *m = arg;
	json_t *desktop;
	size_t i;
	json_array_foreach(r->err ? NULL : json_object_get(r->doc, "desktops"), i, desktop)
		if (doc_int(desktop, "display", 0) == doc_int(m->r->doc, "display", -1))
			json_object_set(m->out, "idle_seconds", json_object_get(desktop, "idle_seconds"));
	struct agent_args a = agent_about(m, m->r->c->ops.connections);
	agent_ask(m->r->c, &a, connections_measured, m);
}

static void measure(struct session_reading *r)
{
	const char *status = doc_str(r->doc, "status", "");
	struct measuring *m = XNEW(struct measuring);
	*m = (struct measuring){ r, figures_of(r) };
	bool live = str_eq(status, "active") || str_eq(status, "disconnected") || str_eq(status, "orphaned");
	bool absent = live && agent_unreachable(r->c, doc_str(r->doc, "node", ""));
	if (absent)
		doc_set_str(m->out, "agent", "away");
	if (!live || absent) {
		measuring_end(m);
		return;
	}
	struct agent_args a = agent_about(m, r->c->ops.desktops);
	agent_ask(r->c, &a, desktops_measured, m);
}

void op_session_statistics(struct call *c, void *controller)
{
	session_read_begin(controller, c, measure);
}

/* --- all sessions */

#define GROUPS_MAX 1000 /* servers and users in the answer */

static void count_in(json_t *groups, const char *key)
{
	if (json_object_get(groups, key) || json_object_size(groups) < GROUPS_MAX)
		add_figure(groups, key, 1);
}

/* {"a":1} → [{"server_id":"a","sessions":1}]; none: in place of an empty key. */
static json_t *groups_list(const json_t *groups, const char *name, const char *none)
{
	json_t *list = json_array(), *n;
	const char *key;
	json_object_foreach((json_t *)(uintptr_t)groups, key, n)
		json_array_append_new(list, json_pack("{s:s?, s:O}", name, *key ? key : none, "sessions", n));
	return list;
}

void op_sessions_summary(struct call *call, void *controller)
{
	struct controller *c = controller;
	struct map_pos pos = { 0 };
	const struct session *s;
	if (!objects_ready(c->objects, call, op_sessions_summary))
		return;
	json_t *statuses = json_object(), *out = json_object();
	_cleanup_(doc_unrefp) json_t *servers = json_object();
	_cleanup_(doc_unrefp) json_t *users = json_object();
	int64_t live = 0;
	for (unsigned i = 0; i < SESSION_STATUS_COUNT; i++)
		doc_set_int(statuses, session_states[i].name, 0);
	while ((s = (const struct session *)objects_next(c->objects, &pos))) {
		if (s->o.unborn || !session_kind.visible(&s->o, call_caller(call)))
			continue;
		add_figure(statuses, object_state_name(&s->o), 1);
		if (session_ended(s))
			continue;
		live++;
		count_in(servers, s->server ? s->server->id : "");
		count_in(users, s->o.owner->id);
	}
	doc_set_int(out, "live", live);
	doc_set(out, "by_status", statuses);
	doc_set(out, "by_server", groups_list(servers, "server_id", NULL));
	doc_set(out, "by_user", groups_list(users, "user_id", ""));
	call_ok(call, out);
}
