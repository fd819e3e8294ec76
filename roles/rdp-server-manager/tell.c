#include "lucid/clock.h"
#include "lucid/lease.h"
#include "lucid/str.h"
#include "roles/rdp-server-manager/servers.h"

/* "node.status" {node, status}: each change of a node is an event once, however many managers see it. Who has the node's lease
 * says it at once. The others owe it until they hear it said, and say it themselves when they are given the lease meanwhile, or
 * when nobody has said it for SAY_MS: because the holder died, the lease changed hands, or its events do not come here, and then
 * nobody here would ever hear it. Rarely twice, never not at all. */

static void say(struct manager *m, const char *node, enum node_status status)
{
	const char *word = node_status_to_string(status);
	bus_publish(m->env.bus, "node.status", node, "", json_pack("{s:s, s:s}", "node", node, "status", word));
}

void place_say(struct place *p)
{
	if (!p->owes)
		return;
	p->owes = false;
	p->said = node_status_to_string(p->owed);
	say(p->m, p->name, p->owed);
}

void manager_say(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct place *p;
	int64_t now = clock_mono_ms();
	while (map_next(m->places, &pos, NULL, (void **)&p))
		if (p->owes && (place_leads(p) || now - p->owed_ms >= m->say_ms))
			place_say(p);
}

static void changed(const char *node, enum node_status status, void *arg)
{
	struct manager *m = arg;
	m->node_ready |= status == NODE_READY;
	loop_defer(m->env.loop, &m->node_task); /* what is done about it asks for nodes, and may ask agents */
	if (m->one_host) {
		say(m, node, status);
		return;
	}
	struct place *p = place_of(m, node);
	p->owed = status;
	p->owed_ms = clock_mono_ms();
	/* a holder that looked earlier has said it already */
	p->owes = !p->said || !str_eq(p->said, node_status_to_string(status));
	if (place_leads(p))
		place_say(p);
}

/* Another manager's word. */
static void heard(const struct event *e, void *arg)
{
	struct manager *m = arg;
	struct place *p = *e->origin ? map_get(m->places, e->object_id) : NULL;
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
	manager_absence(m);
	if (m->node_ready) /* one that is back is asked at once what runs there */
		manager_look(m);
	m->node_ready = false;
}

void manager_tell_begin(struct manager *m)
{
	loop_task_init(&m->node_task, act);
	m->say_ms = SAY_MS;
	m->node_events = bus_subscribe(m->env.bus, "node.status", heard, m);
	nodes_on_change(m->env.nodes, changed, m);
}

void manager_tell_end(struct manager *m)
{
	nodes_on_change(m->env.nodes, NULL, NULL);
	bus_unsubscribe(m->node_events);
	loop_undefer(&m->node_task);
}
