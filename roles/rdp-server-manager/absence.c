#include "lucid/str.h"
#include "roles/rdp-server-manager/servers.h"

/* Servers of a node whose heartbeat has stopped say so, for as long as that lasts. Nothing else is done about them: what runs
 * there may run well, and desktops hold people's work. */
#define REASON "node_unreachable"

static bool lost(struct manager *m, const struct place *p)
{
	const struct node_info *node = nodes_find(m->env.nodes, p->name);
	return node && node->status == NODE_UNREACHABLE;
}

static bool shall_say(struct server *s)
{
	return s->status != SERVER_STOPPED && s->status != SERVER_FAILED && lost(s->m, s->place);
}

bool absence_said(const json_t *doc)
{
	return str_eq(doc_str(doc, "status_reason", ""), REASON);
}

/* What the store did not take is tried on by the server itself. Back again: what runs there is asked for anew. */
static void written(UNUSED int err, void *arg)
{
	struct task *t = arg;
	if (t->s->absent || t->s->gone)
		task_end(t);
	else
		run_observe(t);
}

static void run_say(struct task *t)
{
	struct server *s = t->s;
	bool say = shall_say(s), said = absence_said(s->doc);
	s->absence_queued = false;
	s->absent = say;
	if (say != said)
		server_touch(s, "status_reason", say ? json_string(REASON) : json_null());
	server_wait(s, written, t);
}

/* At each of its changes, and now and then: a manager that has just come may have missed one. */
void manager_absence(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct server **due, *s;
	size_t n = 0;
	if (m->one_host || m->draining || !m->loaded)
		return;
	due = xcalloc(map_count(m->servers) + 1, sizeof(struct server *));
	while (map_next(m->servers, &pos, NULL, (void **)&s))
		if (!s->unborn && !s->gone && !s->absence_queued && s->absent != shall_say(s) && place_leads(s->place))
			due[n++] = s;
	for (size_t i = 0; i < n; i++) {
		due[i]->absence_queued = true;
		task_queue(due[i], task_new(NULL, run_say));
	}
	free(due);
}
