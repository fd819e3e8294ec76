#include "roles/rdp-server-manager/servers.h"

/* A node as the place of servers: which of its ports are taken, and how many servers it has. Made when it is first named,
 * kept while the program runs: nodes are few. */

struct place *place_of(struct manager *m, const char *node)
{
	/* a store of one host's own: its servers are here, though it may have had another name when they were made */
	if (m->one_host)
		node = m->env.node;
	struct place *p = map_get(m->places, node);
	if (p)
		return p;
	p = xcalloc(1, sizeof *p + strlen(node) + 1);
	memcpy(p->name, node, strlen(node) + 1);
	p->m = m;
	p->ports = ports_new((int)config_int(m->env.config, "PORT_RANGE_START"),
			     (int)config_int(m->env.config, "PORT_RANGE_END"));
	map_put(m->places, p->name, p, NULL);
	return p;
}

void place_free(void *place)
{
	struct place *p = place;
	ports_free(p->ports);
	free(p);
}
