/*
 * nodes: the hosts there are, as this process knows them. Floor F5 (src/cluster fulfils it), loop thread only, never blocks.
 *
 * A host's agent registers itself in the collection `nodes` and beats there; every process follows that collection and keeps a
 * copy, with a route on the bus for each node that has a URL (call_args.node). Whether a node is there is judged by whether its
 * beat goes on, by this process's own clock: what time another host believes it is does not matter.
 * When a node comes, goes, or drains, the one who asked for it is told. Not for: placement, what is done about the servers of a
 * node, and who of several tells the others (rdp-server-manager).
 */
#ifndef LUCID_NODES_H
#define LUCID_NODES_H

#include "lucid/base.h"

struct nodes;

enum node_status {
	NODE_READY,
	NODE_DRAINING,	  /* takes no new servers */
	NODE_UNREACHABLE, /* its beat has stopped */
};
const char *node_status_to_string(enum node_status s);

/* Borrowed until the loop's turn ends. */
struct node_info {
	const char *name, *url; /* url "": only the process it runs in can ask it */
	const char *host;	/* what clients connect to */
	const char *const *labels; /* NULL-ended */
	enum node_status status;
	bool here; /* this process's own host */
	int64_t cores, memory_mb;
	int cpu_percent, memory_percent;
	int64_t version;
};

/* NULL: there is none of this name. */
const struct node_info *nodes_find(struct nodes *n, const char *name);
/* Each in the order of names, until fn says false. */
void nodes_each(struct nodes *n, bool (*fn)(const struct node_info *node, void *arg), void *arg);
/* True once the collection was read for the first time. */
bool nodes_known(const struct nodes *n);
/* Whether the store is shared with other hosts. If not, this host is the only node. */
bool nodes_shared(const struct nodes *n);
/* Tell fn of each node that came, went (unreachable, and perhaps not to be found any more), or drains, when all of the reading that
 * showed it was taken. For one alone; NULL: nobody any more. What the first reading shows is nobody's change. */
void nodes_on_change(struct nodes *n, void (*fn)(const char *node, enum node_status status, void *arg), void *arg);
/* Look at the collection now: something of it was changed here. Others look when they hear the event "node.changed". */
void nodes_look(struct nodes *n);
/* NULL, or why this host's agent may not act under its node name: another has it. A sentence. Takes NULL. */
const char *nodes_refused(const struct nodes *n);

#endif
