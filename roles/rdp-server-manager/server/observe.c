#include "roles/rdp-server-manager/server/observe.h"

#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/start.h"
#include "roles/rdp-server-manager/server/states.h"
#include "roles/rdp-server-manager/server/stop.h"

/* Brings the status of a server in line with its instance. An event of the agent, or a comparison with all its instances, queues an
 * observation on the server's strand. The observation reads the instance again and acts on that answer only. */

/* There is no instance. An interrupted start or stop is completed. A running server was lost with its host, and starts again if it has
 * auto_start. */
static void observed_none(struct task *t)
{
	struct server *s = task_server(t);
	switch (s->o.state) {
	case SERVER_CREATING:
	case SERVER_CONFIGURING:
	case SERVER_STARTING:
		t->on.fresh = s->o.state != SERVER_STARTING;
		run_start(&t->on);
		return;
	case SERVER_RUNNING:
		object_enter(&s->o, SERVER_STOPPED, "host_restarted", NULL);
		if (s->auto_start) {
			run_start(&t->on);
			return;
		}
		break;
	case SERVER_STOPPING:
		object_enter(&s->o, SERVER_STOPPED, NULL, NULL);
		break;
	default:
		break;
	}
	object_task_end(&t->on);
}

static void observed_running(struct task *t, const json_t *instance)
{
	struct server *s = task_server(t);
	if (s->o.state == SERVER_STOPPED || s->o.state == SERVER_STOPPING) {
		run_stop(&t->on); /* complete the interrupted stop, without ending live desktops */
		return;
	}
	if (s->o.state != SERVER_RUNNING) {
		json_t *extra = json_object();
		doc_set_str(extra, "backend", doc_str(instance, "backend", NULL));
		doc_set_str(extra, "isolation", doc_str(instance, "isolation", NULL));
		if (s->o.state != SERVER_STARTING)
			object_enter(&s->o, SERVER_STARTING, NULL, NULL);
		object_enter(&s->o, SERVER_RUNNING, NULL, extra);
	}
	object_task_end(&t->on);
}

static void follow_instance(struct task *t, const json_t *instance)
{
	struct server *s = task_server(t);
	const char *status = doc_str(instance, "status", "");
	if (!instance) {
		observed_none(t);
	} else if (str_eq(status, "running")) {
		observed_running(t, instance);
	} else if (str_eq(status, "failed") && s->o.state != SERVER_STOPPED) {
		const char *reason = doc_str(instance, "reason", "instance_failed");
		if (s->o.state == SERVER_STOPPING)
			run_stop(&t->on);
		else {
			if (object_may(&s->o, SERVER_FAILED, reason)) /* not if it has already failed for this reason */
				object_enter(&s->o, SERVER_FAILED, reason, NULL);
			object_task_end(&t->on);
		}
	} else {
		object_task_end(&t->on); /* in transition: an event follows */
	}
}

static void got(const struct reply *r, void *arg)
{
	struct task *t = arg;
	if (r->err == ERR_INSTANCE_NOT_FOUND)
		follow_instance(t, NULL);
	else if (r->err || objects_draining(task_server(t)->o.set))
		object_task_end(&t->on); /* the agent is unreachable: the next listing decides */
	else
		follow_instance(t, r->doc);
}

void run_observe(struct object_task *on)
{
	struct task *t = task_of(on);
	struct manager *m = server_manager(task_server(t));
	task_server(t)->watched = false;
	agent_call(m, server_place(task_server(t))->g.name, m->agent.get, task_server(t)->o.id, NULL, NULL, NULL, got, t);
}

void server_observe(struct server *s)
{
	if (s->watched)
		return;
	s->watched = true;
	server_queue(s, run_observe);
}
