#include "roles/rdp-server-manager/server/kind.h"

#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/leader.h"
#include "roles/rdp-server-manager/node/node_alerts.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/node/reconcile.h"
#include "roles/rdp-server-manager/node/status_events.h"
#include "roles/rdp-server-manager/node/unreachable.h"
#include "roles/rdp-server-manager/port/ports.h"
#include "roles/rdp-server-manager/server/limits.h"
#include "roles/rdp-server-manager/server/observe.h"
#include "roles/rdp-server-manager/server/quotas.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/start.h"
#include "roles/rdp-server-manager/server/states.h"

#define SERVERS_MAX 1000000 /* records; far above any quota */

static void server_read(struct object *o, const json_t *doc)
{
	struct server *s = (struct server *)o;
	int port = (int)doc_int(doc, "port", 0);
	if (port != s->port) {
		ports_let_go(server_place(s)->ports, s->port);
		ports_hold(server_place(s)->ports, port);
		s->port = port;
	}
	s->auto_start = doc_bool(doc, "auto_start", true);
	s->absent = unreachable_said(doc);
	server_limits_read(s, doc);
}

static void server_dropped(struct object *o)
{
	struct server *s = (struct server *)o;
	ports_let_go(server_place(s)->ports, s->port);
}

static void server_refresh(struct object *o, json_t *doc)
{
	doc_set_str(doc, "host", place_host(object_ctx(o), o->group->name));
}

static bool server_abandoned(struct object *o)
{
	struct server *s = (struct server *)o;
	if (server_place(s)->lost)
		return false;
	server_observe(s);
	return true;
}

static void node_lead(struct object_group *g, bool held)
{
	struct place *p = (struct place *)g;
	log_info(SERVICE, held ? "this process now manages the servers of node %s" : "another process manages the servers of node %s",
		 g->name);
	p->looked = false;
	if (held) {
		node_status_publish(p);
		reconcile_node(p);
	}
}

static void servers_loaded(struct objects *set)
{
	struct manager *m = objects_ctx(set);
	log_info(SERVICE, "%zu servers loaded, %zu of them not stopped", objects_count(set), servers_live(m));
	reconcile_all(m);
	node_alerts_start(m->node_alerts);
}

static void servers_scan(struct objects *set)
{
	node_leader_want(objects_ctx(set));
	node_status_publish_due(objects_ctx(set));
}

static int64_t servers_pass_ms(struct objects *set)
{
	const struct manager *m = objects_ctx(set);
	return config_int(m->env.config, "HEALTH_CHECK_INTERVAL") * 1000;
}

static void servers_figures(struct objects *set)
{
	struct manager *m = objects_ctx(set);
	struct map_pos pos = { 0 };
	const struct place *p;
	size_t held = 0;
	while ((p = place_next(m, &pos)))
		held += ports_count(p->ports, PORT_ALLOCATED) + ports_count(p->ports, PORT_RESERVED);
	metric_set(m->metrics.ports, (double)held);
}

/* --- tasks */

static void server_task_free(struct object_task *t)
{
	json_decref(task_of(t)->body);
}

static void server_task_ended(struct object_task *t)
{
	if (t->run == run_observe) /* also if the task ended without running */
		((struct server *)t->object)->watched = false;
}

/* What a task does if another manager is already working on the server. A caller that only wants it to run is told that the start was
 * accepted. An observation is left to that manager. */
static enum object_second server_second(const struct object_task *t)
{
	const struct task *task = (const struct task *)t;
	if (!t->asked)
		return t->run == run_observe || t->run == run_start ? OBJECT_SECOND_ENDS : OBJECT_SECOND_RUNS;
	if (t->run == run_start && !task->replace && !t->wait && t->object->state != SERVER_STOPPING)
		return OBJECT_SECOND_ACCEPTED;
	return OBJECT_SECOND_WAITS;
}

const struct object_kind server_kind = {
	.name = "server",
	.plural = "servers",
	.service = SERVICE,
	.collection = COL_SERVERS,
	.id_field = "server_id",
	.owner_field = "user_id",
	.group_field = "node",
	.state_field = "status",
	.reason_field = "status_reason",
	.topic = "server",
	.lease = "node",
	.figure = "rdp_servers_total",
	.figure_help = "Servers, by status.",
	.missing = ERR_SERVER_NOT_FOUND,
	.states = server_states,
	.nstates = SERVER_STATUS_COUNT,
	.unknown = SERVER_FAILED,
	.transitions = server_transitions,
	.ntransitions = SERVER_TRANSITIONS,
	.written = (const char *const[]){ "backend", "isolation", "pending_restart", "started_at", "stopped_at", "host", "port", NULL },
	.kept = (const char *const[]){ "pending_restart", "started_at", "stopped_at", NULL },
	.size = sizeof(struct server),
	.group_size = sizeof(struct place),
	.task_size = sizeof(struct task),
	.max = SERVERS_MAX,
	.read = server_read,
	.dropped = server_dropped,
	.refresh = server_refresh,
	.group_begin = place_begin,
	.group_end = place_end,
	.lead = node_lead,
	.second = server_second,
	.task_ended = server_task_ended,
	.task_free = server_task_free,
	.abandoned = server_abandoned,
	.loaded = servers_loaded,
	.scan = servers_scan,
	.pass_ms = servers_pass_ms,
	.figures = servers_figures,
};

