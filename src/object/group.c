#include <stdio.h>

#include "lucid/lease.h"
#include "object/set.h"

/* Groups. Of several processes, the one that holds the lease of a group is responsible for its objects. */

struct object_group *objects_group(struct objects *set, const char *name)
{
	/* on a store of its own a host has all objects, even those that were created when it had another name */
	if (set->env.alone && set->env.home)
		name = set->env.home;
	struct object_group *g = map_get(set->groups, name);
	if (g)
		return g;
	g = xcalloc(1, MAX(set->kind->group_size, sizeof *g));
	g->set = set;
	g->name = xstrdup(name);
	if (set->kind->group_begin)
		set->kind->group_begin(g);
	map_put(set->groups, name, g, NULL);
	return g;
}

struct object_group *objects_group_find(const struct objects *set, const char *name)
{
	return map_get(set->groups, name);
}

void object_group_free(void *group)
{
	struct object_group *g = group;
	if (g->set->kind->group_end)
		g->set->kind->group_end(g);
	free(g->name);
	free(g);
}

struct object_group *objects_next_group(const struct objects *set, struct map_pos *pos)
{
	struct object_group *g = NULL;
	return map_next(set->groups, pos, NULL, (void **)&g) ? g : NULL;
}

bool object_group_leads(const struct object_group *g)
{
	return g->set->env.alone || (g->lease && lease_held(g->lease));
}

static void lease_changed(bool held, void *arg)
{
	struct object_group *g = arg;
	if (g->set->kind->lead)
		g->set->kind->lead(g, held);
}

void objects_lead(struct objects *set)
{
	struct map_pos pos = { 0 };
	struct object_group *g;
	char name[STORE_ID_MAX + 1];
	if (set->env.alone || set->draining)
		return;
	while ((g = objects_next_group(set, &pos))) {
		if (g->lease)
			continue;
		snprintf(name, sizeof name, "%s%s%s", set->kind->lease, set->kind->group_field ? ":" : "", g->name);
		g->lease = lease_want(set->env.leases, name, lease_changed, g);
	}
}

void objects_lead_end(struct objects *set)
{
	struct map_pos pos = { 0 };
	struct object_group *g;
	while ((g = objects_next_group(set, &pos))) {
		lease_drop(g->lease);
		g->lease = NULL;
	}
}
