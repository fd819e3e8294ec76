#include "roles/rdp-server-manager/node/placement.h"

#include "lucid/str.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/node_alerts.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/port/ports.h"

#define CORE_MB 2048 /* MiB of free memory that count as much as a free core */

static bool too_busy(const struct manager *m, const struct node_info *node)
{
	int64_t max_cpu = config_int(m->env.config, "MAX_CPU_USAGE"), max_memory = config_int(m->env.config, "MAX_MEMORY_USAGE");
	return (max_cpu < 100 && node->cpu_percent > max_cpu) || (max_memory < 100 && node->memory_percent > max_memory) ||
	       node_alerts_of(m->node_alerts, node->name);
}

/* Free capacity of the node for each of its servers if one more is placed there. */
static int64_t room_of(struct manager *m, const struct node_info *node)
{
	const struct place *p = place_of(m, node->name);
	int64_t cores_mb = node->cores * CORE_MB * (100 - node->cpu_percent) / 100;
	int64_t memory_mb = node->memory_mb * (100 - node->memory_percent) / 100;
	return MAX(MIN(cores_mb, memory_mb), 1) * 1024 / ((int64_t)p->g.objects + 1);
}

static bool has_label(const struct node_info *node, const char *label, size_t n)
{
	for (const char *const *l = node->labels; *l; l++)
		if (strlen(*l) == n && !memcmp(*l, label, n))
			return true;
	return false;
}

/* True if the node has each of the comma-separated labels. */
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
	const struct node_info *best, *busy; /* busy: the first node that is too busy */
	int64_t room;
	size_t fit, ready; /* nodes with the labels; those of them that are ready */
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
		room = 0; /* if no node has a free port, any of them can report that */
	if (!ch->best || room > ch->room) {
		ch->best = node;
		ch->room = room;
	}
	return true;
}

/* `ready`: nodes that were considered. */
static void fail_busy(struct manager *m, struct call *c, const struct node_info *node, size_t ready)
{
	const char *all = ready > 1 ? "all nodes are overloaded: " : "";
	const json_t *alerts = node_alerts_of(m->node_alerts, node->name), *metric;
	struct strbuf names = { 0 };
	size_t i;
	json_array_foreach((json_t *)(uintptr_t)alerts, i, metric)
		strbuf_printf(&names, "%s%s", i ? ", " : "", json_string_value(metric));
	if (alerts)
		call_fail(c, ERR_QUOTA, "%snode %s has an open alert for %s; create the server with auto_start false, or retry when the alert is cleared",
			  all, node->name, names.s);
	else
		call_fail(c, ERR_QUOTA,
			  "%snode %s is at %d %% of its cores and %d %% of its memory, above MAX_CPU_USAGE or MAX_MEMORY_USAGE; "
			  "create the server with auto_start false, or retry later",
			  all, node->name, node->cpu_percent, node->memory_percent);
	strbuf_done(&names);
}

static void fail_field(struct call *c, const char *field, const char *message)
{
	call_fail_details(c, ERR_INVALID, json_pack("[{s:s, s:s}]", "field", field, "message", message), NULL);
}

/* The node that the caller named; NULL: it is unsuitable and the call was answered. */
static const struct node_info *take_wanted(struct manager *m, struct call *c, const char *name, const struct place_wish *wish)
{
	const struct node_info *node = nodes_find(m->env.nodes, name);
	if (!node)
		fail_field(c, "node", "node not found; GET /api/v1/rdp/nodes lists those that exist");
	else if (!has_labels(node, wish->labels))
		call_fail(c, ERR_CONFLICT, "node %s lacks the labels %s; name another node, or omit `node` to have one chosen", name, wish->labels);
	else if (node->status == NODE_DRAINING)
		call_fail(c, ERR_CONFLICT, "node %s is draining and accepts no new servers; name another node, or omit `node` to have one chosen", name);
	else if (node->status == NODE_UNREACHABLE)
		call_fail(c, ERR_UNAVAILABLE, "node %s is unreachable; start lucid-rdp on it, or name another node", name);
	else if (wish->will_run && too_busy(m, node))
		fail_busy(m, c, node, 1);
	else
		return node;
	return NULL;
}

/* The node with the most room among those with the labels; NULL: there is none and the call was answered. */
static const struct node_info *take_best(struct manager *m, struct call *c, const struct place_wish *wish)
{
	struct choice ch = { .m = m, .wish = wish };
	nodes_each(m->env.nodes, weigh, &ch);
	if (ch.best)
		return ch.best;
	if (ch.busy)
		fail_busy(m, c, ch.busy, ch.ready);
	else if (*wish->labels && !ch.fit)
		fail_field(c, "labels", "no node has all of these labels; GET /api/v1/rdp/nodes lists the nodes with their labels");
	else
		call_fail(c, ERR_UNAVAILABLE, "no node%s accepts new servers: each is draining or unreachable; GET /api/v1/rdp/nodes shows their status",
			  *wish->labels ? " with these labels" : "");
	return NULL;
}

struct place *place_choose(struct manager *m, struct call *c, const struct place_wish *wish)
{
	/* with a store of its own this host is the only node, even before its first heartbeat */
	bool alone = m->one_host && (!wish->node || str_eq(wish->node, m->env.node));
	if (alone && !*wish->labels && !nodes_find(m->env.nodes, m->env.node))
		return place_of(m, m->env.node);
	if (!nodes_known(m->env.nodes)) {
		call_fail(c, ERR_UNAVAILABLE, "the nodes have not been read from the store yet; retry in a few seconds");
		return NULL;
	}
	const struct node_info *node = wish->node || alone ? take_wanted(m, c, wish->node ? wish->node : m->env.node, wish)
							   : take_best(m, c, wish);
	return node ? place_of(m, node->name) : NULL;
}
