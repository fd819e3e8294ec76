#include "roles/rdp-session-controller/watch/reconcile.h"

#include "lucid/clock.h"
#include "lucid/nodes.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/session/session.h"
#include "roles/rdp-session-controller/watch/absence.h"
#include "roles/rdp-session-controller/watch/look.h"
#include "roles/rdp-session-controller/watch/quotas_tell.h"

#define AGAIN_MS 3000
#define FULLY_EVERY 12 /* periodic comparisons */
#define INTERVAL_MS 5000 /* at most: HEALTH_CHECK_INTERVAL may be shorter */

struct survey {
	struct place *p;
	int64_t asked_us;
};

static struct controller *place_controller(const struct place *p)
{
	return objects_ctx(p->g.set);
}

static int64_t interval_ms(const struct controller *c)
{
	return MIN(config_int(c->env.config, "HEALTH_CHECK_INTERVAL") * 1000, INTERVAL_MS);
}

static bool has_desktops(const json_t *instance)
{
	const json_t *n = json_object_get(instance, "sessions");
	return doc_int(n, "active", 0) + doc_int(n, "disconnected", 0) + doc_int(n, "orphaned", 0) > 0;
}

/* Listing the desktops of a server costs its host a look at each process. If nothing was missed, equal counts mean equal desktops. */
static bool counts_agree(const struct watched *w, const json_t *instance)
{
	const json_t *n = json_object_get(instance, "sessions");
	int64_t in[SESSION_STATUS_COUNT] = { 0 };
	const struct session *s;
	LIST_FOREACH (s, &w->sessions, live)
		in[s->o.state] += s->o.state != SESSION_CREATED || s->display;
	return !in[SESSION_CREATED] && in[SESSION_ACTIVE] == doc_int(n, "active", 0) &&
	       in[SESSION_DISCONNECTED] == doc_int(n, "disconnected", 0) && in[SESSION_ORPHANED] == doc_int(n, "orphaned", 0);
}

/* Servers of the node that the agent does not list have no desktops. */
static void compare_instances(struct place *p, const struct map *instances, bool fully, int64_t asked_us)
{
	struct controller *c = place_controller(p);
	struct map_pos pos = { 0 };
	struct watched *w;
	while ((w = watched_next(c, &pos))) {
		const json_t *instance = map_get(instances, w->id);
		if (watched_place(w) != p)
			continue;
		if (!instance && !list_empty(&w->sessions))
			look_found_none(w, asked_us);
		else if (instance && (fully ? has_desktops(instance) || !list_empty(&w->sessions) : !counts_agree(w, instance)))
			look_at(w);
	}
}

/* Logs only the change, not each failed listing. The sessions learn of it. */
static void note_agent(struct place *p, const char *failure)
{
	if (failure && !p->lost)
		log_warn(SERVICE, "the agent of node %s cannot list its instances: %s", p->g.name, failure);
	else if (!failure && p->lost)
		log_info(SERVICE, "the agent of node %s responds again", p->g.name);
	p->lost = failure != NULL;
	p->lost_us = !failure ? 0 : p->lost_us ? p->lost_us : clock_mono_us();
	absence_update(p);
}

static void take_instances(struct place *p, const json_t *list, int64_t asked_us)
{
	bool fully = p->fully;
	struct controller *c = place_controller(p);
	struct map *instances = map_new(65536);
	json_t *instance;
	size_t i;
	json_array_foreach(list, i, instance)
	{
		const char *id = doc_str(instance, "server_id", "");
		map_put(instances, id, instance, NULL);
		struct watched *w = has_desktops(instance) ? watched_of(c, id) : NULL;
		if (w)
			w->node = controller_name(c, p->g.name);
	}
	p->fully = false;
	compare_instances(p, instances, fully, asked_us);
	map_free(instances, NULL);
}

static void instances_listed(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct survey *v = arg;
	struct place *p = v->p;
	struct controller *c = place_controller(p);
	bool draining = objects_draining(c->objects);
	p->listing = false;
	if (!draining)
		note_agent(p, r->err ? r->message : NULL);
	if (!draining && !r->err) {
		take_instances(p, json_object_get(r->doc, "instances"), v->asked_us);
		quotas_tell(p);
	} else if (!draining) {
		loop_timer_set(c->look_timer, MIN(interval_ms(c), AGAIN_MS));
	}
	if (p->again && !draining)
		follow_place(p);
	objects_release(c->objects);
}

void follow_place(struct place *p)
{
	struct controller *c = place_controller(p);
	if (!*p->g.name) /* sessions on foreign RDP hosts: no agent follows them */
		return;
	if (p->listing || objects_draining(c->objects) || !objects_loaded(c->objects) || !object_group_leads(&p->g)) {
		p->again = p->listing; /* the listing in progress may have been made too early */
		return;
	}
	p->again = false;
	if (absence_final(p))
		return;
	if (agent_unreachable(c, p->g.name)) {
		note_agent(p, "its heartbeat has stopped");
		return;
	}
	p->listing = true;
	objects_hold(c->objects);
	struct survey *v = XNEW(struct survey);
	*v = (struct survey){ p, clock_mono_us() };
	agent_ask(c, &(struct agent_args){ .op = c->ops.instances, .node = p->g.name }, instances_listed, v);
}

static bool name_place(const struct node_info *node, void *arg)
{
	objects_group(arg, node->name);
	return true;
}

void follow_lead(struct controller *c)
{
	if (c->one_host || objects_draining(c->objects))
		return;
	nodes_each(c->env.nodes, name_place, c->objects);
	objects_lead(c->objects);
}

void follow_all(struct controller *c)
{
	struct map_pos pos = { 0 };
	struct place *p;
	if (objects_draining(c->objects))
		return;
	bool fully = c->look_fully || c->looks++ % FULLY_EVERY == 0;
	c->look_soon = c->look_fully = false;
	loop_timer_set(c->look_timer, interval_ms(c));
	follow_lead(c);
	while ((p = place_next(c, &pos))) {
		p->fully |= fully;
		follow_place(p);
	}
}
