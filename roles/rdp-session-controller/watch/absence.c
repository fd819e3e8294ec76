#include "roles/rdp-session-controller/watch/absence.h"

#include "lucid/clock.h"
#include "lucid/nodes.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/session/session.h"
#include "roles/rdp-session-controller/session/timeline.h"

#define SAY_MS 10000   /* an agent that restarts is not worth two writes for each session */
#define FINAL_MS 15000 /* as long as a heartbeat may be missing */

static struct controller *absence_controller(const struct place *p)
{
	return objects_ctx(p->g.set);
}

static bool longer_than(int64_t since_us, int64_t ms)
{
	return since_us && clock_mono_us() - since_us >= ms * 1000;
}

static bool shall_say(const struct place *p)
{
	return agent_unreachable(absence_controller(p), p->g.name) || longer_than(p->lost_us, SAY_MS);
}

static bool was_removed(const struct place *p)
{
	const struct controller *c = absence_controller(p);
	return !c->one_host && nodes_known(c->env.nodes) && !nodes_find(c->env.nodes, p->g.name);
}

static struct place *place_of_session(const struct session *s)
{
	return (struct place *)s->o.group;
}

static void run_absence(struct object_task *on)
{
	struct session *s = task_session(task_of(on));
	struct place *p = place_of_session(s);
	if (session_ended(s) || objects_draining(s->o.set)) {
		object_task_end(on);
		return;
	}
	if (was_removed(p) && longer_than(p->removed_us, FINAL_MS)) {
		session_enter(s, SESSION_TERMINATED, NODE_REMOVED_REASON, NULL);
	} else if (s->unreachable != shall_say(p)) {
		s->unreachable = !s->unreachable;
		object_touch(&s->o, "status_reason", s->unreachable ? json_string(NODE_UNREACHABLE_REASON) : json_null());
		timeline_note(session_controller(s), s->o.doc, s->unreachable ? "unreachable" : "reachable", NULL, "");
	}
	object_task_end(on);
}

bool absence_task(const struct object_task *t)
{
	return t->run == run_absence;
}

/* Queues the task for the sessions of the node that have not ended: for all, or for those that say the opposite of `say`. */
static void queue_absence(struct place *p, bool all, bool say)
{
	struct controller *c = absence_controller(p);
	struct map_pos pos = { 0 };
	struct watched *w;
	struct session *s, *tmp;
	while ((w = watched_next(c, &pos))) {
		if (watched_place(w) != p)
			continue;
		LIST_FOREACH_SAFE (s, tmp, &w->sessions, live) { /* a task may end the session at once */
			if (s->o.unborn || s->o.gone || s->absence_queued || (!all && s->unreachable == say))
				continue;
			s->absence_queued = true;
			object_queue(&s->o, &session_task(c, NULL, run_absence)->on);
		}
	}
}

void absence_update(struct place *p)
{
	if (object_group_leads(&p->g) && !objects_draining(p->g.set))
		queue_absence(p, false, shall_say(p));
}

bool absence_final(struct place *p)
{
	if (!was_removed(p)) {
		p->removed_us = 0;
		return false;
	}
	if (!p->removed_us) {
		p->removed_us = clock_mono_us();
		log_warn(SERVICE, "node %s is not in the list of nodes any more; its sessions end in %d s", p->g.name, FINAL_MS / 1000);
	}
	if (!longer_than(p->removed_us, FINAL_MS))
		return false;
	p->lost = false; /* it is not one of the hosts that do not respond */
	p->lost_us = 0;
	queue_absence(p, true, true);
	return true;
}
