#include "host/cgroup/groups.h"

#include "host/cgroup/cgroup.h"
#include "host/instance/instance_data.h"

#include <stdio.h>

/* Processes that xrdp needs beside one for each connection: the listener, and children that are ending. */
#define CONNECTIONS_SPARE 32

static void open_below(struct instance *i)
{
	i->daemons = cgroup_sub(i->cgroup, "daemons");
	i->connections = cgroup_sub(i->cgroup, "connections");
	i->desktops = cgroup_sub(i->cgroup, "desktops");
}

void groups_free(struct instance *i)
{
	struct cgroup **const all[] = { &i->daemons, &i->connections, &i->desktops, &i->cgroup };
	for (size_t n = 0; n < ARRAY_LEN(all); n++) {
		cgroup_free(*all[n]);
		*all[n] = NULL;
	}
}

void groups_make(struct instance *i)
{
	groups_free(i);
	i->cgroup = cgroup_make(i->host->cgroups, i->id);
	open_below(i);
	groups_limit(i);
}

bool groups_there(const struct instance *i)
{
	return cgroup_there(i->cgroup) && cgroup_there(i->daemons) && cgroup_there(i->connections) && cgroup_there(i->desktops);
}

void groups_limit(struct instance *i)
{
	const json_t *l = doc_get(i->spec, "limits");
	int64_t bound = i->host->set.login.per_server;
	const struct cgroup_limits server = { .cpu_percent = doc_int(l, "cpu_percent", 0) };
	const struct cgroup_limits desktops = { .memory_mb = doc_int(l, "memory_mb", 0), .tasks = doc_int(l, "tasks", 0) };
	const struct cgroup_limits connections = { .memory_mb = desktops.memory_mb, .tasks = bound ? bound + CONNECTIONS_SPARE : 0 };
	struct cgroup_enforced got, ignored;
	cgroup_limit(i->cgroup, &server, &i->enforced);
	cgroup_limit(i->desktops, &desktops, &got);
	cgroup_limit(i->connections, &connections, &ignored);
	i->enforced.memory = got.memory;
	i->enforced.tasks = got.tasks;
}

static void desktop_name(int display, char dst[32])
{
	snprintf(dst, 32, "desktop-%d", display);
}

struct cgroup *groups_desktop(struct instance *i, int display, bool make)
{
	char name[32];
	desktop_name(display, name);
	return make ? cgroup_sub(i->desktops, name) : cgroup_sub_open(i->desktops, name);
}

static void move_desktop(struct instance *i, int display)
{
	enum { MAX = 4096, ROUNDS = 4 };
	char name[32];
	desktop_name(display, name);
	struct cgroup *old = cgroup_sub_open(i->cgroup, name);
	if (!old)
		return;
	struct cgroup *now = cgroup_sub(i->desktops, name);
	_cleanup_(xfreep) pid_t *pids = xcalloc(MAX, sizeof *pids);
	/* a process forked meanwhile is found in the next round */
	for (int round = 0; now && round < ROUNDS; round++) {
		size_t n = MIN(cgroup_pids(old, pids, MAX), (size_t)MAX);
		for (size_t k = 0; k < n; k++)
			cgroup_attach(now, pids[k]);
		if (n == 0)
			break;
	}
	cgroup_remove(old);
	cgroup_free(old);
	cgroup_free(now);
}

void groups_reopen(struct instance *i, const json_t *record)
{
	i->cgroup = cgroup_reopen(i->host->cgroups, record, i->id);
	cgroup_delegate(i->cgroup);
	open_below(i);
	for (int n = i->display_first; n < i->display_first + i->display_count; n++)
		move_desktop(i, n);
}
