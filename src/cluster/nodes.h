/* nodes: makes and ends what lucid/nodes.h describes. Floor F5, loop thread only, never blocks. */
#ifndef CLUSTER_NODES_H
#define CLUSTER_NODES_H

#include "bus/transport.h"
#include "lucid/nodes.h"
#include "lucid/store.h"

#define NODES_MAX STORE_MAX_PAGE
#define NODES_LIST_MS 3000 /* how often the collection is looked at */
#define NODES_BEAT_MS 5000 /* how often an agent beats there */
#define NODES_LOST_MS 15000 /* a beat that stands still for so long has stopped */

/* How to reach an agent by its URL: what bus_route_node wants, and the end of it after its route was taken away. */
struct nodes_ways {
	struct transport *(*route)(void *arg, const char *node, const char *url); /* NULL: it cannot be reached */
	void (*forget)(void *arg, const char *node);
	void *arg;
};

struct nodes_env {
	struct loop *loop;
	struct bus *bus;
	struct store *store;
	const char *node; /* this host's */
	bool shared;	  /* the store is, with other hosts */
	bool agent_here;  /* this host's agent is in this process */
	struct nodes_ways ways;
	unsigned list_ms, lost_ms; /* 0: as above; tests make time run faster */
};
struct nodes *nodes_new(const struct nodes_env *env);
/* The store is up. */
void nodes_begin(struct nodes *n);
/* After the store was closed. Takes NULL. */
void nodes_free(struct nodes *n);
/* For presence.c: this host's name belongs to another agent, in a sentence; NULL: it does not. */
void nodes_refuse(struct nodes *n, const char *why);

#endif
