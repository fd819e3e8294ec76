/* nodes: creates and frees the nodes of lucid/nodes.h. Floor F5, loop thread only, never blocks. */
#ifndef CLUSTER_NODES_H
#define CLUSTER_NODES_H

#include "bus/transport.h"
#include "lucid/nodes.h"
#include "lucid/store.h"

#define NODES_MAX STORE_MAX_PAGE
#define NODES_LIST_MS 3000 /* interval at which the collection is read */
#define NODES_BEAT_MS 5000 /* interval of an agent's heartbeat */
#define NODES_LOST_MS 15000 /* without a heartbeat for this long a node is unreachable */

/* Transports to agents, by URL: `route` makes one for bus_route_node, `forget` frees it after its route was removed. */
struct nodes_ways {
	struct transport *(*route)(void *arg, const char *node, const char *url); /* NULL: the URL cannot be used */
	void (*forget)(void *arg, const char *node);
	void *arg;
};

struct nodes_env {
	struct loop *loop;
	struct bus *bus;
	struct store *store;
	const char *node; /* name of this host */
	bool shared;	  /* other hosts use the same store */
	bool agent_here;  /* this host's agent runs in this process */
	struct nodes_ways ways;
	unsigned list_ms, lost_ms; /* 0: the constants above; tests set shorter ones */
};
struct nodes *nodes_new(const struct nodes_env *env);
/* When the store is open. */
void nodes_begin(struct nodes *n);
/* After the store was closed. Takes NULL. */
void nodes_free(struct nodes *n);
/* For presence.c: a sentence that says that another agent has this host's node name (nodes_refused); NULL: none has. */
void nodes_refuse(struct nodes *n, const char *why);

#endif
