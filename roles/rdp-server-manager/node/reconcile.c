#include "roles/rdp-server-manager/node/reconcile.h"

#include "lucid/clock.h"
#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/later.h"
#include "roles/rdp-server-manager/node/leader.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/node/unreachable.h"
#include "roles/rdp-server-manager/port/claims_sweep.h"
#include "roles/rdp-server-manager/profiles.h"
#include "roles/rdp-server-manager/server/limits.h"
#include "roles/rdp-server-manager/server/observe.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/start.h"
#include "roles/rdp-server-manager/server/states.h"

#define GAP_MS 100

/* Compares the servers of a node with the instances that its agent lists: at start, periodically, and after a gap in events. Servers that
 * do not match are observed (server/observe.h). */

void reconcile_event(const struct event *e, void *ctx)
{
	struct manager *m = ctx;
	struct server *s = objects_loaded(m->objects) && !objects_draining(m->objects) ? server_find(m, e->object_id) : NULL;
	if (s && place_leads(server_place(s)))
		server_observe(s);
}

/* Listing the instances replaces missed events. It is delayed so that many gaps cause one listing. A listing already in progress does not
 * count: it may have been made before the missed event. */
void reconcile_gap(UNUSED const struct event *e, void *ctx)
{
	struct manager *m = ctx;
	if (!objects_loaded(m->objects) || objects_draining(m->objects) || m->look_again)
		return;
	m->look_again = true;
	loop_timer_set(m->look_timer, GAP_MS);
}

/* --- all servers of a node */

struct look {
	struct place *p;
	int64_t asked_us;
};

#define AWAY_MS 3000

static int64_t interval(const struct manager *m)
{
	return config_int(m->env.config, "HEALTH_CHECK_INTERVAL") * 1000;
}

void reconcile_retry(struct manager *m)
{
	if (!m->look_again) /* otherwise it is sooner */
		loop_timer_set(m->look_timer, MIN(interval(m), AWAY_MS));
}

static bool fits(enum server_status status, const json_t *instance)
{
	const char *is = doc_str(instance, "status", "");
	switch (status) {
	case SERVER_RUNNING:
		return str_eq(is, "running");
	case SERVER_STOPPED:
		return !instance || !str_eq(is, "running");
	case SERVER_FAILED:
		return !instance || str_eq(is, "failed");
	default:
		return false;
	}
}

static void stray_stopped(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) char *id = arg;
	if (r->err == ERR_CONFLICT)
		log_warn(SERVICE, "instance %s belongs to no server, but has live desktops; it is kept until they end", id);
	else if (r->err)
		log_warn(SERVICE, "instance %s belongs to no server and could not be stopped: %s", id, r->message);
	else
		log_info(SERVICE, "instance %s belonged to no server and was stopped", id);
}

/* An instance without a known server. The store is read again before it is stopped: another manager may have just created the server. */
struct stray {
	struct manager *m;
	const char *node;
	char id[ID_UUID_SIZE];
};
static void stray_sought(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct stray *w = arg;
	struct manager *m = w->m;
	if (result == STORE_MISSING && !objects_record(m->objects, w->id) && !objects_draining(m->objects))
		agent_call(m, w->node, m->agent.stop, w->id, json_pack("{s:b, s:b}", "force", 0, "remove", 1), NULL, NULL,
			   stray_stopped, xstrdup(w->id));
	objects_release(m->objects);
}

static void stray(struct place *p, const char *id)
{
	struct manager *m = place_manager(p);
	struct stray *w = XNEW(struct stray);
	w->m = m;
	w->node = p->g.name;
	if (!str_copy(w->id, sizeof w->id, id)) {
		free(w);
		return;
	}
	objects_hold(m->objects);
	store_get(m->env.store, COL_SERVERS, w->id, stray_sought, w);
}

/* A server with auto_start that had failed before this process started is started once more. */
static void first_try(struct server *s, const json_t *instance)
{
	if (!server_place(s)->looked && s->o.state == SERVER_FAILED && s->auto_start && !instance)
		server_queue(s, run_start);
}

static void compare_instances(struct place *p, const struct map *instances, int64_t asked_us)
{
	struct manager *m = place_manager(p);
	struct map_pos pos = { 0 };
	struct server **due = xcalloc(objects_count(m->objects) + 1, sizeof *due), *s;
	size_t n = 0;
	while ((s = server_next(m, &pos)))
		if (server_place(s) == p && !s->o.unborn && object_idle(&s->o) && s->o.changed_us < asked_us)
			due[n++] = s;
	for (size_t i = 0; i < n; i++) {
		const json_t *instance = map_get(instances, due[i]->o.id);
		if (!fits(due[i]->o.state, instance))
			server_observe(due[i]);
		else
			first_try(due[i], instance);
		if (instance)
			server_limits_compare(due[i], instance, asked_us);
	}
	free(due);
}

/* Logs only the change, not each failed listing. */
static void note_agent(struct place *p, const struct reply *r)
{
	bool away = r->err != 0;
	if (away && !p->lost)
		log_warn(SERVICE, "the agent of node %s cannot list its instances: %s", p->g.name, r->message);
	else if (!away && p->lost)
		log_info(SERVICE, "the agent of node %s responds again", p->g.name);
	p->lost = away;
}

static void instances_listed(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct look *w = arg;
	struct place *p = w->p;
	struct manager *m = place_manager(p);
	p->looking = false;
	m->looking--;
	if (!objects_draining(m->objects))
		note_agent(p, r);
	if (!r->err && !objects_draining(m->objects)) {
		struct map *instances = map_new(65536);
		json_t *instance;
		size_t i;
		json_array_foreach(json_object_get(r->doc, "instances"), i, instance)
		{
			const char *id = doc_str(instance, "server_id", "");
			map_put(instances, id, instance, NULL);
			if (!objects_record(m->objects, id))
				stray(p, id);
		}
		compare_instances(p, instances, w->asked_us);
		map_free(instances, NULL);
		p->looked = true;
	} else if (r->err && !objects_draining(m->objects)) {
		reconcile_retry(m); /* early: starts of servers may be waiting for the agent */
	}
	if (p->again && !objects_draining(m->objects))
		reconcile_node(p);
	objects_release(m->objects);
}

void reconcile_node(struct place *p)
{
	struct manager *m = place_manager(p);
	if (p->looking || objects_draining(m->objects) || !objects_loaded(m->objects) || !place_leads(p)) {
		p->again = p->looking; /* the listing in progress may have been made too early */
		return;
	}
	p->looking = true;
	p->again = false;
	m->looking++;
	objects_hold(m->objects);
	struct look *w = XNEW(struct look);
	*w = (struct look){ p, clock_mono_us() };
	agent_call(m, p->g.name, m->agent.list, NULL, NULL, NULL, NULL, instances_listed, w);
}

void reconcile_all(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct place *p;
	if (objects_draining(m->objects))
		return;
	m->look_again = false;
	loop_timer_set(m->look_timer, interval(m));
	node_leader_want(m);
	while ((p = place_next(m, &pos)))
		reconcile_node(p);
	profiles_ask(m);
	unreachable_update(m);
	claims_sweep(m);
}
