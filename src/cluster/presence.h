/*
 * presence: this host as a node. Floor F5, loop thread only; blocks at the start only, to read or write one small file. Registers the host's
 * agent in the collection `nodes` and updates its heartbeat there. While another agent with the same node name sends heartbeats, this one
 * is refused (nodes_refused). Not for: following other nodes (nodes.h).
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
	const char *node, *host; /* its name, and the address that clients connect to */
	const char *url;	 /* of the agent, for other processes; "": none */
	const char *id_path;	 /* file of the agent's identity */
	bool shared;		 /* other hosts use the same store */
	unsigned beat_ms, lost_ms; /* 0: the constants of nodes.h; tests set shorter ones */
};
struct presence *presence_new(const struct presence_env *env);
/* When the store is open. */
void presence_begin(struct presence *p);
/* True if the node is registered and its last heartbeat was stored; else *ret_why says why not, valid until the next turn of the loop. */
bool presence_healthy(const struct presence *p, const char **ret_why);
/* The program stops: no further heartbeats. Takes NULL. */
void presence_stop(struct presence *p);
/* After the store was closed. Takes NULL. */
void presence_free(struct presence *p);

#endif
