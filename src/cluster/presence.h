/*
 * presence: this host as a node. Floor F5, loop thread only; reads and writes one small file at the start. Registers the host's
 * agent in the collection `nodes` and beats there. An agent whose node name belongs to another that beats is refused
 * (nodes_refused) until that one falls silent. Not for: following other nodes (nodes.h).
 */
#ifndef CLUSTER_PRESENCE_H
#define CLUSTER_PRESENCE_H

#include "cluster/nodes.h"
#include "lucid/config.h"

struct presence;

struct presence_env {
	struct loop *loop;
	struct bus *bus;
	struct store *store;
	struct nodes *nodes;
	const struct config *config;
	const char *node, *host; /* its name, and what clients connect to */
	const char *url;	 /* of the agent, for other processes; "": there is none */
	const char *id_path;	 /* where the agent's identity is kept */
	bool shared;		 /* the store is, with other hosts */
	unsigned beat_ms, lost_ms; /* 0: as in nodes.h; tests make time run faster */
};
struct presence *presence_new(const struct presence_env *env);
/* The store is up. */
void presence_begin(struct presence *p);
/* True when it is registered and its last beat was taken; else why not, in a sentence that lives until the next turn. */
bool presence_healthy(const struct presence *p, const char **ret_why);
/* The program leaves: no more beats. Takes NULL. */
void presence_stop(struct presence *p);
/* After the store was closed. Takes NULL. */
void presence_free(struct presence *p);

#endif
