/*
 * nodes: the known hosts. Floor F5 (implemented in src/cluster), loop thread only, never blocks.
 *
 * The agent of a host registers in the collection `nodes` and updates a heartbeat there. Every process follows that collection and keeps a
 * copy, with a route on the bus for each node that has a URL (call_args.node). A node is reachable while its heartbeat changes, measured by
 * this process's own clock; clocks of hosts need not agree.
 * Not for: placement, the servers of a node, and publishing changes once for all processes (rdp-server-manager).
 */
#ifndef LUCID_NODES_H
#define LUCID_NODES_H

#include "lucid/base.h"

struct nodes;

enum node_status {
	NODE_READY,
	NODE_DRAINING,	  /* accepts no new servers */
	NODE_UNREACHABLE, /* its heartbeat has stopped */
};
const char *node_status_to_string(enum node_status s);

/* Borrowed until the loop's turn ends. */
struct node_info {
	const char *name, *url; /* url "": only the process with that agent can call it */
	const char *host;	/* host name or address for RDP clients */
	const char *const *labels; /* NULL-terminated */
	enum node_status status;
	bool here; /* the host of this process */
	int64_t cores, memory_mb;
	int cpu_percent, memory_percent;
	int64_t version;
};

/* NULL: there is no node of this name. */
const struct node_info *nodes_find(struct nodes *n, const char *name);
/* Calls fn for each node in order of names, until it returns false. */
void nodes_each(struct nodes *n, bool (*fn)(const struct node_info *node, void *arg), void *arg);
/* True after the collection has been read once. */
bool nodes_known(const struct nodes *n);
/* True if the store is shared with other hosts. Otherwise this host is the only node. n may be NULL: false. */
bool nodes_shared(const struct nodes *n);
/* Sets the only listener for changes of a node's status; NULL: none. fn is called for each changed node after a read of the collection was
 * processed as a whole. An unreachable node may not be found any more. The first read reports no changes. */
void nodes_on_change(struct nodes *n, void (*fn)(const char *node, enum node_status status, void *arg), void *arg);
/* Reads the collection now, after a change by this process. Other processes read it on the event "node.changed". */
void nodes_look(struct nodes *n);
/* Why the agent of this host may not use its node name (another host has it), as a sentence; NULL: it may. n may be NULL. */
const char *nodes_refused(const struct nodes *n);

#endif
