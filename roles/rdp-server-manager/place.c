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

bool place_is_here(const struct place *p)
{
	return str_eq(p->name, p->m->env.node) && bus_is_local(p->m->env.bus, ROLE_XRDP);
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

/* --- choosing one */

#define CORE_MB 2048 /* a free core is worth as much as so much free memory */

static bool too_busy(const struct manager *m, const struct node_info *node)
{
	int64_t max_cpu = config_int(m->env.config, "MAX_CPU_USAGE"), max_memory = config_int(m->env.config, "MAX_MEMORY_USAGE");
	return (max_cpu < 100 && node->cpu_percent > max_cpu) || (max_memory < 100 && node->memory_percent > max_memory);
}

/* What each of its servers, and one more, would have of what is free there. */
static int64_t room_of(struct manager *m, const struct node_info *node)
{
	const struct place *p = place_of(m, node->name);
	int64_t cores_mb = node->cores * CORE_MB * (100 - node->cpu_percent) / 100;
	int64_t memory_mb = node->memory_mb * (100 - node->memory_percent) / 100;
	return MAX(MIN(cores_mb, memory_mb), 1) * 1024 / ((int64_t)p->servers + 1);
}

static bool has_label(const struct node_info *node, const char *label, size_t n)
{
	for (const char *const *l = node->labels; *l; l++)
		if (strlen(*l) == n && !memcmp(*l, label, n))
			return true;
	return false;
}

/* Whether it has each of these, which commas part. */
static bool has_labels(const struct node_info *node, const char *labels)
{
	for (const char *l = labels; *l; l += strspn(l, ",")) {
		size_t n = strcspn(l, ",");
		if (!has_label(node, l, n))
			return false;
		l += n;
	}
	return true;
}

struct choice {
	struct manager *m;
	const struct place_wish *wish;
	const struct node_info *best, *busy; /* busy: too much so, the first of those */
	int64_t room;
	size_t fit, ready; /* that have the labels; and are ready too */
};

static bool weigh(const struct node_info *node, void *arg)
{
	struct choice *ch = arg;
	if (!has_labels(node, ch->wish->labels))
		return true;
	ch->fit++;
	if (node->status != NODE_READY)
		return true;
	ch->ready++;
	if (ch->wish->will_run && too_busy(ch->m, node)) {
		ch->busy = ch->busy ? ch->busy : node;
		return true;
	}
	int64_t room = room_of(ch->m, node);
	if (!ports_count(place_of(ch->m, node->name)->ports, PORT_AVAILABLE))
		room = 0; /* of those where no port is free any will do to say so */
	if (!ch->best || room > ch->room) {
		ch->best = node;
		ch->room = room;
	}
	return true;
}

static void fail_busy(struct call *c, const struct node_info *node, size_t ready)
{
	call_fail(c, ERR_QUOTA,
		  "%snode %s is at %d %% of its cores and %d %% of its memory, above MAX_CPU_USAGE or MAX_MEMORY_USAGE; "
		  "create it with auto_start false, or try again later",
		  ready > 1 ? "every node is too busy: " : "", node->name, node->cpu_percent, node->memory_percent);
}

static void fail_field(struct call *c, const char *field, const char *message)
{
	call_fail_details(c, ERR_INVALID, json_pack("[{s:s, s:s}]", "field", field, "message", message), NULL);
}

/* The one that is wanted; NULL: the call was answered. */
static const struct node_info *take_wanted(struct manager *m, struct call *c, const char *name, const struct place_wish *wish)
{
	const struct node_info *node = nodes_find(m->env.nodes, name);
	if (!node)
		fail_field(c, "node", "there is no such node; see GET /nodes");
	else if (!has_labels(node, wish->labels))
		call_fail(c, ERR_CONFLICT, "node %s has not the labels %s; choose another, or none to be given one", name, wish->labels);
	else if (node->status == NODE_DRAINING)
		call_fail(c, ERR_CONFLICT, "node %s is draining and takes no new servers", name);
	else if (node->status == NODE_UNREACHABLE)
		call_fail(c, ERR_UNAVAILABLE, "node %s is unreachable; start lucid-rdp on it, or choose another node", name);
	else if (wish->will_run && too_busy(m, node))
		fail_busy(c, node, 1);
	else
		return node;
	return NULL;
}

/* The one with the most room of those with the labels; NULL: the call was answered. */
static const struct node_info *take_best(struct manager *m, struct call *c, const struct place_wish *wish)
{
	struct choice ch = { .m = m, .wish = wish };
	nodes_each(m->env.nodes, weigh, &ch);
	if (ch.best)
		return ch.best;
	if (ch.busy)
		fail_busy(c, ch.busy, ch.ready);
	else if (*wish->labels && !ch.fit)
		fail_field(c, "labels", "no node has all of these; see GET /nodes");
	else
		call_fail(c, ERR_UNAVAILABLE, "no node%s takes new servers: each is draining or unreachable; see GET /nodes",
			  *wish->labels ? " with these labels" : "");
	return NULL;
}

struct place *place_choose(struct manager *m, struct call *c, const struct place_wish *wish)
{
	/* on a host of its own there is but one, also before it has first been heard of */
	bool alone = m->one_host && (!wish->node || str_eq(wish->node, m->env.node));
	if (alone && !*wish->labels && !nodes_find(m->env.nodes, m->env.node))
		return place_of(m, m->env.node);
	if (!nodes_known(m->env.nodes)) {
		call_fail(c, ERR_UNAVAILABLE, "the nodes have not been read from the store yet; try again in a moment");
		return NULL;
	}
	const struct node_info *node = wish->node || alone ? take_wanted(m, c, wish->node ? wish->node : m->env.node, wish)
							   : take_best(m, c, wish);
	return node ? place_of(m, node->name) : NULL;
}
