#include "app/cluster.h"

#include <stdio.h>

#include "lease/leases.h"
#include "cluster/presence.h"
#include "lucid/id.h"
#include "lucid/str.h"
#include "roles/contract/contract.h"

struct cluster {
	struct leases *leases;
	struct nodes *nodes;
	struct presence *presence; /* NULL: the agent of this host registers itself, in another process */
	bool near;		   /* the agent's URL works on this host only */
};

static bool has_role(const struct role *const *roles, const char *name)
{
	for (; *roles; roles++)
		if (str_eq((*roles)->name, name))
			return true;
	return false;
}

/* --- the agent's URL */

static bool is_loopback(const char *address)
{
	return str_starts(address, "127.") || str_eq(address, "::1") || str_eq(address, "localhost");
}

/* The listening address by which other hosts can reach the agent: this host's name if it listens on all addresses, otherwise an address that
 * is not loopback. Only if there is none, a loopback address, with *ret_near set. NULL: it listens on Unix sockets only. */
static const char *reach(const struct config *c, bool *ret_near)
{
	const char *loopback = NULL;
	*ret_near = false;
	for (const char *const *a = config_list(c, "BIND_ADDRESS"); *a; a++) {
		if (str_starts(*a, "unix:"))
			continue;
		if (is_loopback(*a))
			loopback = *a;
		else if (config_given(c, "XRDP_INTEGRATION_HOST") || str_eq(*a, "0.0.0.0") || str_eq(*a, "::"))
			return config_str(c, "XRDP_INTEGRATION_HOST");
		else
			return *a;
	}
	*ret_near = true;
	return loopback;
}

/* The URL of the agent: NODE_URL, or what this process listens on; the caller frees. "": no other process can call this agent, or none
 * needs to (the store is not shared). */
static char *agent_url(const struct config *c, bool shared, bool *ret_near)
{
	const char *given = config_str(c, "NODE_URL"), *host;
	*ret_near = false;
	if (*given || !shared)
		return xstrdup(given);
	if ((host = reach(c, ret_near))) {
		bool brackets = strchr(host, ':') != NULL;
		return xasprintf("%s://%s%s%s:%lld", *config_str(c, "TLS_CERT_FILE") ? "https" : "http", brackets ? "[" : "", host,
				 brackets ? "]" : "", (long long)config_int(c, "XRDP_INTEGRATION_PORT"));
	}
	for (const char *const *a = config_list(c, "BIND_ADDRESS"); *a; a++)
		if (str_starts(*a, "unix:"))
			return xstrdup(*a);
	return xstrdup("");
}

/* --- creation */

static struct transport *route(void *arg, const char *node, const char *url)
{
	return peers_node(arg, node, url);
}

static void forget_node(void *arg, const char *node)
{
	peers_forget_node(arg, node);
}

static struct leases *make_leases(struct loop *l, struct store *s, const char *node, bool shared)
{
	char start[17];
	id_hex(start, sizeof start / 2);
	_cleanup_(xfreep) char *holder = xasprintf("%s/%s", node, start);
	return leases_new(&(struct leases_env){ .loop = l, .store = s, .shared = shared, .holder = holder });
}

static struct presence *make_presence(struct cluster *k, struct loop *l, struct bus *b, struct store *s, const struct config *c,
				      bool shared)
{
	const char *host = config_str(c, "NODE_PUBLIC_HOST"), *node = config_str(c, "NODE_NAME");
	_cleanup_(xfreep) char *url = agent_url(c, shared, &k->near), *id_path = NULL;
	id_path = xasprintf("%s/store/agent-id", config_str(c, "DATA_DIR"));
	struct presence_env env = { .loop = l, .bus = b, .store = s, .nodes = k->nodes, .config = c, .node = node,
				    .host = *host ? host : node, .url = url, .id_path = id_path, .shared = shared };
	return presence_new(&env);
}

struct cluster *cluster_new(struct loop *l, struct bus *b, struct store *s, const struct config *c, struct peers *p,
			    const struct role *const *roles)
{
	struct cluster *k = XNEW(struct cluster);
	const char *node = config_str(c, "NODE_NAME");
	bool shared = *config_str(c, "MONGODB_URL"), agent = has_role(roles, ROLE_XRDP), manager = has_role(roles, ROLE_SERVERS);
	k->leases = make_leases(l, s, node, shared);
	struct nodes_env env = { .loop = l, .bus = b, .store = s, .node = node, .shared = shared, .agent_here = agent,
				 .ways = { route, forget_node, p } };
	k->nodes = nodes_new(&env);
	/* without a shared store, an agent in another process cannot register itself here, so the manager's process registers it */
	if (agent || (manager && !shared))
		k->presence = make_presence(k, l, b, s, c, shared);
	return k;
}

struct nodes *cluster_nodes(struct cluster *k)
{
	return k->nodes;
}

struct leases *cluster_leases(struct cluster *k)
{
	return k->leases;
}

void cluster_begin(struct cluster *k)
{
	leases_begin(k->leases);
	nodes_begin(k->nodes);
	if (k->presence)
		presence_begin(k->presence);
}

void cluster_leave(struct cluster *k)
{
	presence_stop(k->presence);
}

static bool count_one(UNUSED const struct node_info *node, void *arg)
{
	return ++*(size_t *)arg < 2;
}

static void check_node(void *arg, api_check_done done, void *token)
{
	const struct cluster *k = arg;
	const char *why;
	size_t nodes = 0;
	nodes_each(k->nodes, count_one, &nodes);
	if (!presence_healthy(k->presence, &why))
		done(token, API_UNHEALTHY, why);
	else if (k->near && nodes > 1)
		done(token, API_UNHEALTHY, "other hosts cannot reach this agent: it listens on loopback addresses only; set BIND_ADDRESS, "
		     "or NODE_URL if a proxy forwards requests to it");
	else
		done(token, API_HEALTHY, "");
}

void cluster_add_checks(struct cluster *k, struct api *a)
{
	if (k->presence)
		api_add_check(a, "node", false, check_node, k);
}

void cluster_free(struct cluster *k)
{
	if (!k)
		return;
	presence_free(k->presence);
	nodes_free(k->nodes);
	leases_free(k->leases);
	free(k);
}
