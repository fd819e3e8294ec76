/* placement: chooses the node of a new server. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_PLACEMENT_H
#define SERVERS_PLACEMENT_H

#include "roles/rdp-server-manager/node/place.h"

struct place_wish {
	const char *node;   /* NULL: any */
	const char *labels; /* comma-separated labels that the node must have; "": any node */
	bool will_run;
};
/* The node named in the wish, or the one with the most room among those with the labels. NULL: the call was answered with an error, because
 * no such node exists, or it is draining, unreachable, or too busy while the server is to start: it is above a
 * usage limit, or has an open alert. */
struct place *place_choose(struct manager *m, struct call *c, const struct place_wish *wish);

#endif
