#include "roles/rdp-server-manager/node/place.h"

#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/port/ports.h"

struct place *place_of(struct manager *m, const char *node)
{
	return (struct place *)objects_group(m->objects, node);
}

void place_begin(struct object_group *g)
{
	const struct manager *m = objects_ctx(g->set);
	((struct place *)g)->ports = ports_new((int)config_int(m->env.config, "PORT_RANGE_START"),
					       (int)config_int(m->env.config, "PORT_RANGE_END"));
}

void place_end(struct object_group *g)
{
	ports_free(((struct place *)g)->ports);
}

bool place_is_here(const struct place *p)
{
	return str_eq(p->g.name, place_manager(p)->env.node) && bus_is_local(place_manager(p)->env.bus, ROLE_XRDP);
}

const char *place_host(struct manager *m, const char *node)
{
	const struct node_info *info = m->one_host ? NULL : nodes_find(m->env.nodes, node);
	if (info)
		return info->host;
	return m->one_host || str_eq(node, m->env.node) ? m->host : node;
}

struct most {
	int64_t cores, memory_mb;
};

static bool add_capacity(const struct node_info *node, void *arg)
{
	struct most *most = arg;
	most->cores = MAX(most->cores, node->cores);
	most->memory_mb = MAX(most->memory_mb, node->memory_mb);
	return true;
}

void place_capacity(struct manager *m, const char *node, int64_t *ret_cores, int64_t *ret_memory_mb)
{
	struct most most = { 0 };
	const struct node_info *info = node ? nodes_find(m->env.nodes, m->one_host ? m->env.node : node) : NULL;
	if (info)
		add_capacity(info, &most);
	else
		nodes_each(m->env.nodes, add_capacity, &most);
	*ret_cores = most.cores ? most.cores : INT32_MAX;
	*ret_memory_mb = most.memory_mb ? most.memory_mb : INT32_MAX;
}
