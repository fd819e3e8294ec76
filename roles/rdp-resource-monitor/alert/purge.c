#include <math.h>

#include "lucid/clock.h"
#include "lucid/fanout.h"
#include "lucid/nodes.h"
#include "roles/rdp-resource-monitor/alert/alerts.h"

/* Once a minute, in the process with the lease: removes cleared alerts that are older than ALERT_RETENTION_DAYS, and clears the alerts of nodes that
 * were removed, and of servers whose deletion nobody here has seen. */

#define PURGE_MS 60000
#define PURGE_MAX 500	/* alerts removed in one round */
#define LOOKUPS_MAX 100 /* servers looked up in one round */
#define DAY_MS (24 * 3600 * 1000ll)

static void purge_written(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct object_task *t = arg;
	struct object *o = t->object;
	if ((result == STORE_OK || result == STORE_MISSING) && !o->gone) {
		object_publish(o, "deleted", json_object());
		object_drop(o);
	}
	object_task_end(t);
}

static void purge_settled(int err, void *arg)
{
	struct object_task *t = arg;
	struct object *o = t->object;
	struct alerts *a = object_ctx(o);
	if (err || o->gone || o->state != ALERT_CLEARED) {
		object_task_end(t);
		return;
	}
	struct store_op op = { STORE_DELETE, COL_ALERTS, o->id, o->stored_version, NULL };
	store_write(a->env.store, &op, 1, purge_written, t);
}

static void run_purge(struct object_task *t)
{
	object_wait(t->object, purge_settled, t);
}

static int by_time(const void *x, const void *y)
{
	const struct alert *a = *(struct alert *const *)x, *b = *(struct alert *const *)y;
	return (a->cleared_ms > b->cleared_ms) - (a->cleared_ms < b->cleared_ms);
}

/* Purges the alerts that were cleared before this time, and beyond ALERTS_KEPT the oldest ones whatever their age. */
static void purge_old(struct alerts *a, int64_t before_ms)
{
	struct map_pos pos = { 0 };
	size_t all = objects_count(a->objects), n = 0, most = all > ALERTS_KEPT ? all - ALERTS_KEPT : 0;
	struct alert *alert, **old = xcalloc(all + 1, sizeof(struct alert *));
	while ((alert = (struct alert *)objects_next(a->objects, &pos)))
		if (alert->o.state == ALERT_CLEARED && alert->cleared_ms && !alert->busy && object_idle(&alert->o))
			old[n++] = alert;
	qsort(old, n, sizeof(struct alert *), by_time);
	for (size_t i = 0; i < MIN(n, PURGE_MAX) && (i < most || old[i]->cleared_ms < before_ms); i++)
		object_queue(&old[i]->o, object_task_new(a->objects, NULL, run_purge));
	free(old);
}

/* Another process cleared it, and its event was missed. */
static void look_again(struct alerts *a)
{
	struct map_pos pos = { 0 };
	struct alert *alert;
	while ((alert = (struct alert *)objects_next(a->objects, &pos)))
		if (alert->o.state == ALERT_CLEARED && !alert->cleared_ms)
			alert_look(alert);
}

/* An unreachable node is still in the list of nodes, and keeps its alerts. */
static void clear_of_removed_nodes(struct alerts *a)
{
	struct map_pos pos = { 0 };
	struct alert *alert;
	if (nodes_shared(a->env.nodes) && !nodes_known(a->env.nodes))
		return;
	while ((alert = (struct alert *)objects_next(a->objects, &pos))) {
		const char *node = alert_node(alert);
		if (node && alert_is_open(alert) && !fanout_knows(a->env.nodes, a->env.node, node))
			alert_clear(alert, "object_gone", NAN);
	}
}

struct lookup {
	struct alerts *a;
	char alert_id[ID_UUID_SIZE];
};

static void looked_up(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct lookup *w = arg;
	struct alert *alert = (struct alert *)objects_find(w->a->objects, w->alert_id);
	if (r->err == ERR_SERVER_NOT_FOUND && alert_is_open(alert))
		alert_clear(alert, "object_gone", NAN);
	objects_release(w->a->objects);
}

static void look_up(struct alerts *a)
{
	struct map_pos pos = { 0 };
	struct alert *alert;
	unsigned n = 0;
	while (n < LOOKUPS_MAX && (alert = (struct alert *)objects_next(a->objects, &pos))) {
		const char *server = alert_server(alert);
		if (!alert_is_open(alert) || !server)
			continue;
		struct lookup *w = XNEW(struct lookup);
		w->a = a;
		memcpy(w->alert_id, alert->o.id, sizeof w->alert_id);
		n++;
		objects_hold(a->objects);
		bus_call(a->env.bus, &(struct call_args){ .op = a->server, .params = { server } }, looked_up, w);
	}
}

void alerts_purge(void *alerts)
{
	struct alerts *a = alerts;
	if (objects_draining(a->objects))
		return;
	loop_timer_set(a->purge, PURGE_MS);
	if (!objects_loaded(a->objects) || !alerts_lead(a))
		return;
	purge_old(a, clock_wall_ms() - config_int(a->env.config, "ALERT_RETENTION_DAYS") * DAY_MS);
	look_again(a);
	clear_of_removed_nodes(a);
	look_up(a);
}
