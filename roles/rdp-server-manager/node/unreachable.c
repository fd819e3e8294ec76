#include "roles/rdp-server-manager/node/unreachable.h"

#include "lucid/str.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/server/observe.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/states.h"

/* While the heartbeat of a node is missing, its servers show that in status_reason. Their status stays: the instances may run well, and
 * their desktops contain users' work. */
#define REASON "node_unreachable"

static bool lost(struct manager *m, const struct place *p)
{
	const struct node_info *node = nodes_find(m->env.nodes, p->g.name);
	return node && node->status == NODE_UNREACHABLE;
}

static bool shall_say(struct server *s)
{
	return s->o.state != SERVER_STOPPED && s->o.state != SERVER_FAILED && lost(server_manager(s), server_place(s));
}

bool unreachable_said(const json_t *doc)
{
	return str_eq(doc_str(doc, "status_reason", ""), REASON);
}

/* A failed write is retried by the object itself (write-behind). After the node has returned, the instance is observed again. */
static void written(UNUSED int err, void *arg)
{
	struct task *t = arg;
	if (task_server(t)->absent || task_server(t)->o.gone)
		object_task_end(&t->on);
	else
		run_observe(&t->on);
}

static void run_say(struct object_task *on)
{
	struct task *t = task_of(on);
	struct server *s = task_server(t);
	bool say = shall_say(s), said = unreachable_said(s->o.doc);
	s->absence_queued = false;
	s->absent = say;
	if (say != said)
		object_touch(&s->o, "status_reason", say ? json_string(REASON) : json_null());
	object_wait(&s->o, written, t);
}

/* Runs after each change of a node, and periodically, because a manager that has just started may have missed a change. */
void unreachable_update(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct server **due, *s;
	size_t n = 0;
	if (m->one_host || objects_draining(m->objects) || !objects_loaded(m->objects))
		return;
	due = xcalloc(objects_count(m->objects) + 1, sizeof(struct server *));
	while ((s = server_next(m, &pos)))
		if (!s->o.unborn && !s->o.gone && !s->absence_queued && s->absent != shall_say(s) && place_leads(server_place(s)))
			due[n++] = s;
	for (size_t i = 0; i < n; i++) {
		due[i]->absence_queued = true;
		object_queue(&due[i]->o, &task_new(m, NULL, run_say)->on);
	}
	free(due);
}
