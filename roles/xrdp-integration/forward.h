/*
 * forward: which host.* row answers an xrdp.* row, and how the one document is made of the other. Floor F6, loop thread
 * only, never blocks. The host agent has no state of its own: what is true of a host, its supervisor knows.
 */
#ifndef XRDP_INTEGRATION_FORWARD_H
#define XRDP_INTEGRATION_FORWARD_H

#include "lucid/bus.h"
#include "lucid/nodes.h"

/* Makes the host row's document; NULL: answered already (with a fault). */
typedef json_t *(*forward_make)(struct call *c);
/* Makes the answer out of the host's, a new document; NULL in the row: passed on as it is. */
typedef json_t *(*forward_answer)(struct call *c, json_t *doc);
struct forward {
	const char *op, *host;
	forward_make make;
	forward_answer answer;
};
extern const struct forward forwards[];
extern const size_t forwards_n;

/* Bind every row of the table on this bus. What is returned goes along with each call; free it after the bus has no calls
 * under way any more. */
struct route;
struct route *forward_serve(struct bus *b, const struct nodes *n);

#endif
