#include "object/set.h"

#define OWNERS_MAX 1000000
#define GROUPS_MAX 65536

static void load_timer(void *arg)
{
	objects_load(arg);
}

/* Fills the matrix of transitions, so that one is found by index. */
static void index_kind(struct objects *set, const struct object_kind *k)
{
	size_t n = 0;
	struct metric_family *f = k->figure ? metric_family(k->figure, METRIC_GAUGE, "status", k->figure_help) : NULL;
	for (size_t i = 0; i < k->ntransitions; i++)
		set->rows[k->transitions[i].from][k->transitions[i].to] = &k->transitions[i];
	for (size_t i = 0; i < k->nstates; i++) {
		if (k->states[i].between)
			set->between[n++] = k->states[i].name;
		if (f)
			set->gauges[i] = metric_with(f, k->states[i].name);
	}
}

struct objects *objects_new(const struct objects_env *env)
{
	struct objects *set = XNEW(struct objects);
	set->env = *env;
	set->kind = env->kind;
	set->objects = map_new(env->kind->max);
	set->owners = map_new(OWNERS_MAX);
	set->groups = map_new(GROUPS_MAX);
	set->renew_ms = OBJECT_RENEW_MS;
	set->busy_ms = OBJECT_BUSY_MS;
	set->scan_ms = OBJECT_SCAN_MS;
	list_init(&set->parked);
	index_kind(set, env->kind);
	set->load_timer = loop_timer_new(env->loop, load_timer, set);
	if ((env->alone && env->home) || !env->kind->group_field)
		objects_group(set, "");
	return set;
}

void objects_start(struct objects *set)
{
	objects_load(set);
	objects_follow_begin(set);
}

/* The drain ends, also if its time is over: operations still in progress are examined at the next start. */
static void drain_over(void *arg)
{
	struct objects *set = arg;
	void (*done)(void *) = set->drained;
	set->drained = NULL;
	if (done)
		done(set->drained_arg);
}

void objects_drain(struct objects *set, void (*done)(void *arg), void *arg)
{
	set->draining = true;
	set->drained = done;
	set->drained_arg = arg;
	set->drain_timer = loop_timer_new(set->env.loop, drain_over, set);
	loop_timer_set(set->drain_timer, OBJECT_DRAIN_MS);
	objects_lead_end(set); /* another process takes over at once */
	objects_unpark(set);   /* they are answered that the program is stopping */
	objects_idle(set);
}

static bool set_busy(const struct objects *set)
{
	return set->under_way || set->loading;
}

void objects_idle(struct objects *set)
{
	if (set->draining && !set_busy(set))
		drain_over(set);
}

static void free_object(void *o)
{
	object_free(o);
}

bool objects_free(struct objects *set)
{
	objects_follow_end(set);
	objects_lead_end(set);
	loop_timer_free(set->drain_timer);
	loop_timer_free(set->load_timer);
	if (set_busy(set))
		return false;
	map_free(set->objects, free_object);
	map_free(set->owners, free);
	map_free(set->groups, object_group_free);
	free(set);
	return true;
}

void *objects_ctx(const struct objects *set)
{
	return set->env.ctx;
}

bool objects_loaded(const struct objects *set)
{
	return set->loaded;
}

bool objects_draining(const struct objects *set)
{
	return set->draining;
}

void objects_hold(struct objects *set)
{
	set->under_way++;
}

void objects_release(struct objects *set)
{
	set->under_way--;
	objects_idle(set);
}

void objects_figures(struct objects *set)
{
	for (size_t i = 0; i < set->kind->nstates; i++)
		if (set->gauges[i])
			metric_set(set->gauges[i], (double)set->by_state[i]);
	if (set->kind->figures)
		set->kind->figures(set);
}
