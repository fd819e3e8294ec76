#include "roles/rdp-server-manager/node/status_events.h"

#include "lucid/clock.h"
#include "lucid/lease.h"
#include "lucid/str.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/node/reconcile.h"
#include "roles/rdp-server-manager/node/unreachable.h"

/* "node.status" {node, status}: published once for each change of a node, however many managers notice it. The manager with the node's
 * lease publishes at once. The others record that they owe the event until they receive it. They publish it themselves when they get the
 * lease, or after NODE_STATUS_OWED_MS without it: the leader may have died, or its events may not arrive here. Delivery is at least once;
 * duplicates are rare. */

static void say(struct manager *m, const char *node, enum node_status status)
{
	const char *word = node_status_to_string(status);
	bus_publish(m->env.bus, "node.status", node, "", json_pack("{s:s, s:s}", "node", node, "status", word));
}

void node_status_publish(struct place *p)
{
	if (!p->owes)
		return;
	p->owes = false;
	p->said = node_status_to_string(p->owed);
	say(place_manager(p), p->g.name, p->owed);
}

void node_status_publish_due(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct place *p;
	int64_t now = clock_mono_ms();
	while ((p = place_next(m, &pos)))
		if (p->owes && (place_leads(p) || now - p->owed_ms >= m->say_ms))
			node_status_publish(p);
}

static void changed(const char *node, enum node_status status, void *arg)
{
	struct manager *m = arg;
	m->node_ready |= status == NODE_READY;
	loop_defer(m->env.loop, &m->node_task); /* deferred: the reaction iterates over nodes and may call agents */
	if (m->one_host) {
		say(m, node, status);
		return;
	}
	struct place *p = place_of(m, node);
	p->owed = status;
	p->owed_ms = clock_mono_ms();
	/* nothing is owed if a leader that noticed the change earlier has already published it */
	p->owes = !p->said || !str_eq(p->said, node_status_to_string(status));
	if (place_leads(p))
		node_status_publish(p);
}

/* Receives the event of another manager. */
static void heard(const struct event *e, void *arg)
{
	struct manager *m = arg;
	struct place *p = *e->origin ? (struct place *)objects_group_find(m->objects, e->object_id) : NULL;
	const char *word = doc_str(e->data, "status", "");
	if (!p)
		return;
	for (enum node_status s = NODE_READY; s <= NODE_UNREACHABLE; s++)
		if (str_eq(word, node_status_to_string(s)))
			p->said = node_status_to_string(s);
	if (p->owes && str_eq(word, node_status_to_string(p->owed)))
		p->owes = false;
}

static void act(struct loop_task *t)
{
	struct manager *m = CONTAINER_OF(t, struct manager, node_task);
	unreachable_update(m);
	if (m->node_ready) /* list the instances of a node that has returned at once */
		reconcile_all(m);
	m->node_ready = false;
}

void node_status_begin(struct manager *m)
{
	loop_task_init(&m->node_task, act);
	m->say_ms = NODE_STATUS_OWED_MS;
	m->node_events = bus_subscribe(m->env.bus, "node.status", heard, m);
	nodes_on_change(m->env.nodes, changed, m);
}

void node_status_end(struct manager *m)
{
	nodes_on_change(m->env.nodes, NULL, NULL);
	bus_unsubscribe(m->node_events);
	loop_undefer(&m->node_task);
}
