#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/monitor.h"
#include "roles/rdp-resource-monitor/subject.h"
#include "roles/rdp-resource-monitor/usage_doc.h"

/* GET …/usage of one node, server or session: asks the one agent. */

struct usage_one {
	struct monitor *m;
	struct call *call;
	enum sample_kind kind;
	char *node;
	json_t *server, *session; /* its definition */
};

static void usage_one_done(struct usage_one *w)
{
	struct monitor *m = w->m;
	json_decref(w->server);
	json_decref(w->session);
	free(w->node);
	free(w);
	under_way_end(&m->under_way);
}

static void usage_nothing(struct call *c, const json_t *server, const json_t *session)
{
	if (session)
		call_fail(c, ERR_NO_FIGURES, "session %s has ended, so it uses nothing now; ask for its history", doc_str(session, "session_id", ""));
	else
		call_fail(c, ERR_NO_FIGURES, "server %s does not run, so it uses nothing now; start it, or ask for its history",
			  doc_str(server, "name", ""));
}

static void usage_one_answer(struct usage_one *w, const json_t *doc)
{
	json_t *answer = w->kind == SAMPLE_NODE	  ? usage_node(w->m->sampler, w->node, doc) :
			 w->kind == SAMPLE_SERVER ? usage_server(w->m->sampler, w->node, doc, w->server) :
						    usage_session(w->m->sampler, doc, w->session);
	if (answer)
		call_ok(w->call, answer);
	else
		usage_nothing(w->call, w->server, w->session);
}

static void on_usage_one(const struct reply *r, void *arg)
{
	struct usage_one *w = arg;
	_cleanup_(doc_unrefp) json_t *parsed = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : NULL;
	const json_t *doc = r->doc ? r->doc : parsed;
	if (r->err == ERR_INSTANCE_NOT_FOUND)
		usage_nothing(w->call, w->server, w->session);
	else if (r->err || !doc)
		call_fail_reply(w->call, r);
	else
		usage_one_answer(w, doc);
	usage_one_done(w);
}

static void usage_of_subject(struct monitor *m, struct call *c, const struct subject *s)
{
	if (s->kind == SAMPLE_SERVER && !s->server) {
		call_fail(c, ERR_NO_FIGURES, "server %s does not exist; of a deleted server only the history is kept", s->id);
		return;
	}
	if (!*s->node || (s->session && s->until_ms < clock_wall_ms())) {
		usage_nothing(c, s->server, s->session);
		return;
	}
	struct usage_one *w = XNEW(struct usage_one);
	struct call_args a = { 0 };
	*w = (struct usage_one){ m, c, s->kind, xstrdup(s->node), json_incref((json_t *)(uintptr_t)s->server),
				  json_incref((json_t *)(uintptr_t)s->session) };
	call_onward(c, &a);
	a.caller = NULL; /* the caller may see it: that was decided; the agent knows no users */
	a.op = s->kind == SAMPLE_NODE ? m->stats : m->instance_stats;
	a.params[0] = s->kind == SAMPLE_NODE ? NULL : s->kind == SAMPLE_SERVER ? s->id : doc_str(s->session, "server_id", "");
	a.node = w->node;
	under_way_begin(&m->under_way);
	bus_call(m->env.bus, &a, on_usage_one, w);
}

void op_usage_of_one(struct call *c, void *monitor)
{
	subject_of_call(monitor, c, usage_of_subject);
}
