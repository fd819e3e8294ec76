#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"

#define GAP_MS 100

/* Status follows what really happens: an event of the agent, or a look at all its instances now and then, puts an
 * observation on the server's strand, which asks the agent once more and then acts on the answer alone. */

static void queue_own(struct server *s, void (*run)(struct task *t))
{
	task_queue(s, task_new(NULL, run));
}

/* --- one server */

/* Nothing runs for it. What was half done is finished; what ran went with its host, and comes again if it shall. */
static void observed_none(struct task *t)
{
	struct server *s = t->s;
	switch (s->status) {
	case SERVER_CREATING:
	case SERVER_CONFIGURING:
	case SERVER_STARTING:
		t->fresh = s->status != SERVER_STARTING;
		run_start(t);
		return;
	case SERVER_RUNNING:
		server_enter(s, SERVER_STOPPED, "host_restarted", NULL);
		if (s->auto_start) {
			run_start(t);
			return;
		}
		break;
	case SERVER_STOPPING:
		server_enter(s, SERVER_STOPPED, NULL, NULL);
		break;
	default:
		break;
	}
	task_end(t);
}

static void observed_running(struct task *t, const json_t *instance)
{
	struct server *s = t->s;
	if (s->status == SERVER_STOPPED || s->status == SERVER_STOPPING) {
		run_stop(t); /* the stop was not finished; live desktops are not ended for it */
		return;
	}
	if (s->status != SERVER_RUNNING) {
		json_t *extra = json_object();
		doc_set_str(extra, "backend", doc_str(instance, "backend", NULL));
		doc_set_str(extra, "isolation", doc_str(instance, "isolation", NULL));
		if (s->status != SERVER_STARTING)
			server_enter(s, SERVER_STARTING, NULL, NULL);
		server_enter(s, SERVER_RUNNING, NULL, extra);
	}
	task_end(t);
}

void observed(struct task *t, const json_t *instance)
{
	struct server *s = t->s;
	const char *status = doc_str(instance, "status", "");
	if (!instance) {
		observed_none(t);
	} else if (str_eq(status, "running")) {
		observed_running(t, instance);
	} else if (str_eq(status, "failed") && s->status != SERVER_STOPPED) {
		const char *reason = doc_str(instance, "reason", "instance_failed");
		if (s->status == SERVER_STOPPING)
			run_stop(t);
		else if (s->status == SERVER_FAILED && str_eq(doc_str(s->doc, "status_reason", ""), reason))
			task_end(t);
		else {
			server_enter(s, SERVER_FAILED, reason, NULL);
			task_end(t);
		}
	} else {
		task_end(t); /* on its way to something: an event will tell */
	}
}

static void got(const struct reply *r, void *arg)
{
	struct task *t = arg;
	if (r->err == ERR_INSTANCE_NOT_FOUND)
		observed(t, NULL);
	else if (r->err || t->s->m->draining)
		task_end(t); /* away: the next look tells */
	else
		observed(t, r->doc);
}

void run_observe(struct task *t)
{
	struct manager *m = t->s->m;
	t->s->watched = false;
	agent_call(m, t->s->place->name, m->agent.get, t->s->id, NULL, NULL, NULL, got, t);
}

void server_observe(struct server *s)
{
	if (s->watched)
		return;
	s->watched = true;
	queue_own(s, run_observe);
}

void manager_event(const struct event *e, void *ctx)
{
	struct manager *m = ctx;
	struct server *s = m->loaded && !m->draining ? server_find(m, e->object_id) : NULL;
	if (s && place_leads(s->place))
		server_observe(s);
}

/* What an event would have told is seen by looking. A moment later, so that many gaps are one look; a look that has begun may have
 * been too early. */
void manager_gap(UNUSED const struct event *e, void *ctx)
{
	struct manager *m = ctx;
	manager_follow(m);
	if (!m->loaded || m->draining || m->look_again)
		return;
	m->look_again = true;
	loop_timer_set(m->look_timer, GAP_MS);
}

/* --- all of a node */

struct look {
	struct place *p;
	int64_t asked_us;
};

#define AWAY_MS 3000

static int64_t interval(const struct manager *m)
{
	return config_int(m->env.config, "HEALTH_CHECK_INTERVAL") * 1000;
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
		log_warn(SERVICE, "instance %s belongs to no server, but people are on it; it is kept until they leave", id);
	else if (r->err)
		log_warn(SERVICE, "instance %s belongs to no server and could not be stopped: %s", id, r->message);
	else
		log_info(SERVICE, "instance %s belonged to no server and was stopped", id);
}

/* Nobody's instance: looked up once more, for another manager may have made its server a moment ago. */
struct stray {
	struct manager *m;
	const char *node;
	char id[ID_UUID_SIZE];
};
static void stray_sought(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct stray *w = arg;
	struct manager *m = w->m;
	m->under_way--;
	if (result == STORE_MISSING && !map_get(m->servers, w->id) && !m->draining)
		agent_call(m, w->node, m->agent.stop, w->id, json_pack("{s:b, s:b}", "force", 0, "remove", 1), NULL, NULL,
			   stray_stopped, xstrdup(w->id));
	manager_idle(m);
}

static void stray(struct place *p, const char *id)
{
	struct manager *m = p->m;
	struct stray *w = XNEW(struct stray);
	w->m = m;
	w->node = p->name;
	if (!str_copy(w->id, sizeof w->id, id)) {
		free(w);
		return;
	}
	m->under_way++;
	store_get(m->env.store, COL_SERVERS, w->id, stray_sought, w);
}

/* A server that failed before this start of ours, and shall come with its host, gets one more try. */
static void first_try(struct server *s, const json_t *instance)
{
	if (!s->place->looked && s->status == SERVER_FAILED && s->auto_start && !instance)
		queue_own(s, run_start);
}

static void compare(struct place *p, const struct map *instances, int64_t asked_us)
{
	struct manager *m = p->m;
	struct map_pos pos = { 0 };
	struct server **due = xcalloc(map_count(m->servers) + 1, sizeof *due), *s;
	size_t n = 0;
	while (map_next(m->servers, &pos, NULL, (void **)&s))
		if (s->place == p && !s->unborn && !s->running && list_empty(&s->tasks) && s->changed_us < asked_us)
			due[n++] = s;
	for (size_t i = 0; i < n; i++) {
		const json_t *instance = map_get(instances, due[i]->id);
		if (!fits(due[i]->status, instance))
			server_observe(due[i]);
		else
			first_try(due[i], instance);
	}
	free(due);
}

/* That it is away or back is said once. */
static void note_agent(struct place *p, const struct reply *r)
{
	bool away = r->err != 0;
	if (away && !p->lost)
		log_warn(SERVICE, "the agent of node %s cannot be asked what runs: %s", p->name, r->message);
	else if (!away && p->lost)
		log_info(SERVICE, "the agent of node %s answers again", p->name);
	p->lost = away;
}

static void listed(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct look *w = arg;
	struct place *p = w->p;
	struct manager *m = p->m;
	p->looking = false;
	m->looking--;
	if (!m->draining)
		note_agent(p, r);
	if (!r->err && !m->draining) {
		struct map *instances = map_new(65536);
		json_t *instance;
		size_t i;
		json_array_foreach(json_object_get(r->doc, "instances"), i, instance)
		{
			const char *id = doc_str(instance, "server_id", "");
			map_put(instances, id, instance, NULL);
			if (!map_get(m->servers, id))
				stray(p, id);
		}
		compare(p, instances, w->asked_us);
		map_free(instances, NULL);
		p->looked = true;
	} else if (r->err && !m->draining) {
		loop_timer_set(m->look_timer, MIN(interval(m), AWAY_MS)); /* servers may wait for it */
	}
	if (p->again && !m->draining)
		place_look(p);
	manager_idle(m);
}

static void profiles_listed(const struct reply *r, void *arg)
{
	struct manager *m = arg;
	m->under_way--;
	if (!r->err) {
		json_decref(m->profiles);
		m->profiles = json_incref(json_object_get(r->doc, "desktops"));
	}
	manager_idle(m);
}

void place_look(struct place *p)
{
	struct manager *m = p->m;
	if (p->looking || m->draining || !m->loaded || !place_leads(p)) {
		p->again = p->looking; /* what has begun may have been too early */
		return;
	}
	p->looking = true;
	p->again = false;
	m->looking++;
	struct look *w = XNEW(struct look);
	*w = (struct look){ p, clock_mono_us() };
	agent_call(m, p->name, m->agent.list, NULL, NULL, NULL, NULL, listed, w);
}

void manager_look(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct place *p;
	if (m->draining)
		return;
	m->look_again = false;
	loop_timer_set(m->look_timer, interval(m));
	manager_lead(m);
	while (map_next(m->places, &pos, NULL, (void **)&p))
		place_look(p);
	m->under_way++;
	agent_call(m, m->env.node, m->agent.profiles, NULL, NULL, NULL, NULL, profiles_listed, m);
	manager_absence(m);
	manager_sweep(m);
}
