#include "roles/rdp-session-controller/session/sweep.h"

#include "lucid/clock.h"
#include "roles/rdp-session-controller/session/delete.h"
#include "roles/rdp-session-controller/session/session.h"

#define SWEEP_MS 5000
#define PURGE_MAX 200 /* sessions purged in one sweep */
#define DAY_MS (24 * 3600 * INT64_C(1000))

/* The time since its declaration does not depend on jumps of the clock while this process runs. Nothing tells whether a foreign RDP host is used. */
static bool unused_for_long(const struct controller *c, const struct session *s)
{
	return s->o.state == SESSION_CREATED && !s->display && s->server != c->foreign && c->timeout_s &&
	       session_status_ms(s) >= c->timeout_s * 1000;
}

static void run_expire(struct object_task *on)
{
	struct session *s = task_session(task_of(on));
	if (unused_for_long(session_controller(s), s))
		session_enter(s, SESSION_EXPIRED, "never_used", NULL);
	object_task_end(on);
}

static void run_purge(struct object_task *on)
{
	if (session_ended(task_session(task_of(on))))
		run_session_delete(on);
	else
		object_task_end(on);
}

static bool outdated(const struct controller *c, const struct session *s, int64_t now_ms)
{
	return session_ended(s) && s->ended_ms && now_ms - s->ended_ms > c->history_days * DAY_MS;
}

static bool may_sweep(const struct session *s)
{
	return !s->o.unborn && !s->o.gone && object_idle(&s->o) && object_group_leads(s->o.group);
}

static void sweep(void *arg)
{
	struct controller *c = arg;
	struct map_pos pos = { 0 };
	struct session *s, *due[PURGE_MAX];
	size_t n = 0;
	int64_t now_ms = clock_wall_ms();
	loop_timer_set(c->sweep_timer, SWEEP_MS);
	if (!objects_loaded(c->objects) || objects_draining(c->objects))
		return;
	while (n < PURGE_MAX && (s = (struct session *)objects_next(c->objects, &pos)))
		if (may_sweep(s) && (unused_for_long(c, s) || outdated(c, s, now_ms)))
			due[n++] = s;
	for (size_t i = 0; i < n; i++) /* a task may change the map */
		object_queue(&due[i]->o, &session_task(c, NULL, session_ended(due[i]) ? run_purge : run_expire)->on);
}

void sweep_begin(struct controller *c)
{
	c->sweep_timer = loop_timer_new(c->env.loop, sweep, c);
	loop_timer_set(c->sweep_timer, SWEEP_MS);
}

void sweep_end(struct controller *c)
{
	loop_timer_free(c->sweep_timer);
}
