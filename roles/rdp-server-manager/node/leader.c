#include "roles/rdp-server-manager/node/leader.h"

#include "lucid/lease.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/port/claims_sweep.h"

/* Of several managers, the one that holds a node's lease leads the servers of that node: it reconciles records with instances, finishes
 * operations of a dead manager, and follows events of the agent. A further lease covers claims without a server, on all nodes. A manager
 * that is alone on its store leads everything without leases. */

static void sweep(bool held, void *arg)
{
	if (held)
		claims_sweep(arg);
}

static bool name_place(const struct node_info *node, void *arg)
{
	place_of(arg, node->name);
	return true;
}

void node_leader_want(struct manager *m)
{
	if (m->one_host || objects_draining(m->objects))
		return;
	nodes_each(m->env.nodes, name_place, m);
	objects_lead(m->objects);
	if (!m->sweeper)
		m->sweeper = lease_want(m->env.leases, "claims", sweep, m);
}

void node_leader_end(struct manager *m)
{
	objects_lead_end(m->objects);
	lease_drop(m->sweeper);
	m->sweeper = NULL;
}
