#include "roles/rdp-server-manager/servers.h"

#include <stdio.h>

#include "lucid/lease.h"

/* Which of several managers looks after the servers of a node: the one that has the node's lease. It compares records with
 * instances, finishes what a dead manager began, and follows what the agent tells. Another lease is for the claims that no
 * server stands behind, of all nodes. A manager alone on its store has all of them, and asks nobody. */

bool place_leads(const struct place *p)
{
	return p->m->one_host || (p->lease && lease_held(p->lease));
}

static void led(bool held, void *arg)
{
	struct place *p = arg;
	log_info(SERVICE, held ? "the servers of node %s are looked after here" : "another manager looks after the servers of node %s",
		 p->name);
	p->looked = false;
	if (held) {
		place_say(p);
		place_look(p);
	}
}

static void sweep(bool held, void *arg)
{
	if (held)
		manager_sweep(arg);
}

static bool name_place(const struct node_info *node, void *arg)
{
	place_of(arg, node->name);
	return true;
}

void manager_lead(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct place *p;
	char name[128];
	if (m->one_host)
		return;
	nodes_each(m->env.nodes, name_place, m);
	while (map_next(m->places, &pos, NULL, (void **)&p)) {
		if (p->lease)
			continue;
		snprintf(name, sizeof name, "node:%s", p->name);
		p->lease = lease_want(m->env.leases, name, led, p);
	}
	if (!m->sweeper)
		m->sweeper = lease_want(m->env.leases, "claims", sweep, m);
}

void manager_lead_end(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct place *p;
	while (map_next(m->places, &pos, NULL, (void **)&p)) {
		lease_drop(p->lease);
		p->lease = NULL;
	}
	lease_drop(m->sweeper);
	m->sweeper = NULL;
}
