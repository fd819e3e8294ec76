#include "roles/rdp-resource-monitor/subject.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/fanout.h"
#include "lucid/str.h"

struct resolving {
	struct monitor *m;
	struct call *call;
	subject_fn fn;
};

static void subject_known(struct resolving *w, const char *id, const json_t *server)
{
	const struct subject s = { .kind = SAMPLE_SERVER, .id = id, .node = doc_str(server, "node", ""), .server = server };
	w->fn(w->m, w->call, &s);
}

static void on_definition(const struct reply *r, void *arg)
{
	struct resolving *w = arg;
	struct monitor *m = w->m;
	_cleanup_(doc_unrefp) json_t *parsed = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : NULL;
	const char *id = call_param(w->call, "server_id");
	/* the past of a deleted server has no owner any more */
	if (r->err == ERR_SERVER_NOT_FOUND && caller_is_admin(call_caller(w->call)))
		subject_known(w, id, NULL);
	else if (r->err)
		call_fail_reply(w->call, r);
	else
		subject_known(w, id, r->doc ? r->doc : parsed);
	free(w);
	under_way_end(&m->under_way);
}

/* rdp-server-manager decides, as if the caller had asked it: 404 for what belongs to another. */
static void resolve_server(struct monitor *m, struct call *c, subject_fn fn)
{
	struct resolving *w = XNEW(struct resolving);
	struct call_args a = { 0 };
	*w = (struct resolving){ m, c, fn };
	call_onward(c, &a);
	a.op = m->server;
	a.params[0] = call_param(c, "server_id");
	under_way_begin(&m->under_way);
	bus_call(m->env.bus, &a, on_definition, w);
}

static void session_known(struct resolving *w, const json_t *session)
{
	char id[SAMPLE_ID_MAX];
	struct subject s = { .kind = SAMPLE_DESKTOP, .id = id, .node = doc_str(session, "node", ""), .session = session, .until_ms = INT64_MAX };
	int64_t display = doc_int(session, "display", 0);
	if (!display || !clock_from_iso(doc_str(session, "started_at", ""), &s.since_ms)) {
		call_fail(w->call, ERR_NO_FIGURES, "session %s has had no desktop yet; somebody has to log in first",
			  doc_str(session, "session_id", ""));
		return;
	}
	clock_from_iso(doc_str(session, "stopped_at", ""), &s.until_ms);
	snprintf(id, sizeof id, "%s:%d", doc_str(session, "server_id", ""), (int)display);
	w->fn(w->m, w->call, &s);
}

static void on_session(const struct reply *r, void *arg)
{
	struct resolving *w = arg;
	struct monitor *m = w->m;
	_cleanup_(doc_unrefp) json_t *parsed = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : NULL;
	if (r->err)
		call_fail_reply(w->call, r);
	else
		session_known(w, r->doc ? r->doc : parsed);
	free(w);
	under_way_end(&m->under_way);
}

/* rdp-session-controller decides who sees a session. */
static void resolve_session(struct monitor *m, struct call *c, subject_fn fn)
{
	struct resolving *w = XNEW(struct resolving);
	struct call_args a = { 0 };
	*w = (struct resolving){ m, c, fn };
	call_onward(c, &a);
	a.op = m->session;
	a.params[0] = call_param(c, "session_id");
	under_way_begin(&m->under_way);
	bus_call(m->env.bus, &a, on_session, w);
}

static bool op_takes_session(const struct op *op)
{
	return strstr(op->path, "/{session_id}/") != NULL;
}

static bool op_takes_node(const struct op *op)
{
	return strstr(op->path, "/{node}/") != NULL;
}

void subject_of_call(struct monitor *m, struct call *c, subject_fn fn)
{
	if (op_takes_session(call_op(c))) {
		resolve_session(m, c, fn);
		return;
	}
	if (!op_takes_node(call_op(c))) {
		resolve_server(m, c, fn);
		return;
	}
	const char *node = call_param(c, "node");
	const struct subject s = { .kind = SAMPLE_NODE, .id = node, .node = node };
	if (fanout_knows(m->env.nodes, m->env.node, node))
		fn(m, c, &s);
	else
		call_fail(c, ERR_NO_FIGURES, "no host is named %s; GET /api/v1/rdp/nodes lists the hosts", node);
}
