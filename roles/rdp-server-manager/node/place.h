/* place: a node and its servers: a group of stored objects (lucid/object.h) and the ports of the node. Created on first use and kept until
 * the program exits, because nodes are few. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_PLACE_H
#define SERVERS_PLACE_H

#include "lucid/nodes.h"
#include "roles/rdp-server-manager/port/ports.h"
#include "roles/rdp-server-manager/server/server.h"

struct place {
	struct object_group g;
	struct ports *ports; /* hints: ports that are probably free */
	/* reconcile.c */
	bool looking, again, looked; /* listing now; list again afterwards; listed at least once */
	bool lost;		      /* the last listing failed */
	bool limits_refused;	      /* its agent does not take limits of running servers; logged once */
	/* status_events.c */
	const char *said; /* status last published, by any manager; NULL: none yet */
	bool owes;	  /* the present status, `owed`, has not been published yet */
	enum node_status owed;
	int64_t owed_ms; /* monotonic time of that change */
};

static inline struct manager *place_manager(const struct place *p)
{
	return objects_ctx(p->g.set);
}
static inline struct place *server_place(const struct server *s)
{
	return (struct place *)s->o.group;
}
static inline struct place *place_next(const struct manager *m, struct map_pos *pos)
{
	return (struct place *)objects_next_group(m->objects, pos);
}
/* True if this manager leads the servers of the node. */
static inline bool place_leads(const struct place *p)
{
	return object_group_leads(&p->g);
}
/* Finds or creates the place of a node. With a store of its own, a host has one place, whatever the name. */
struct place *place_of(struct manager *m, const char *node);
void place_begin(struct object_group *g);
void place_end(struct object_group *g);
/* Host name or address that clients of servers on that node connect to. Borrowed until the loop's turn ends. */
const char *place_host(struct manager *m, const char *node);
/* Cores and memory of a node; for NULL or an unknown node, the maxima over all nodes. INT32_MAX if no node is known. */
void place_capacity(struct manager *m, const char *node, int64_t *ret_cores, int64_t *ret_memory_mb);
/* True if the agent of that node is in this process, so that its ports can be tested with bind() here. */
bool place_is_here(const struct place *p);

#endif
