#include "roles/rdp-resource-monitor/alert/alert.h"

#include "lucid/nodes.h"
#include "roles/rdp-resource-monitor/alert/alerts.h"
#include "roles/rdp-resource-monitor/alert/webhook.h"

#define JUDGED_MAX 65536 /* metrics of subjects */

static void cleared_elsewhere(const struct event *e, void *arg)
{
	struct alerts *a = arg;
	struct alert *alert = *e->origin ? (struct alert *)objects_find(a->objects, e->object_id) : NULL;
	if (alert)
		alert_look(alert);
}

struct alerts *alerts_new(const struct role_env *env)
{
	struct alerts *a = XNEW(struct alerts);
	bool alone = !nodes_shared(env->nodes);
	*a = (struct alerts){ .env = *env, .latest = map_new(ALERTS_MAX), .judges = map_new(JUDGED_MAX), .server = op_find("rdp.servers.get") };
	a->webhook = webhook_new(a);
	a->objects = objects_new(&(struct objects_env){ .kind = &alert_kind, .loop = env->loop, .bus = env->bus, .store = env->store,
							.leases = alone ? NULL : env->leases, .alone = alone, .ctx = a });
	a->thresholds = threshold_store_new(env);
	a->purge = loop_timer_new(env->loop, alerts_purge, a);
	a->deleted = bus_subscribe(env->bus, "server.deleted", alerts_server_deleted, a);
	a->cleared = bus_subscribe(env->bus, "resource.alert.cleared", cleared_elsewhere, a);
	alerts_serve(a);
	return a;
}

void alerts_start(struct alerts *a)
{
	threshold_store_start(a->thresholds);
	objects_start(a->objects);
}

void alerts_drain(struct alerts *a, void (*done)(void *arg), void *arg)
{
	threshold_store_stop(a->thresholds);
	objects_drain(a->objects, done, arg);
}

void alerts_free(struct alerts *a)
{
	bus_unsubscribe(a->deleted);
	bus_unsubscribe(a->cleared);
	loop_timer_free(a->purge);
	webhook_close(a->webhook);
	threshold_store_free(a->thresholds);
	if (!objects_free(a->objects))
		return; /* results of the store may still arrive; the memory they refer to must stay valid until then */
	webhook_free(a->webhook);
	map_free(a->latest, NULL);
	map_free(a->judges, free);
	free(a);
}
