/*
 * forward: maps each xrdp.* operation to a host.* operation, and converts the documents. Floor F6, loop thread only, never blocks. The agent
 * keeps no state of its own; the supervisor has the state of the host.
 */
#ifndef XRDP_INTEGRATION_FORWARD_H
#define XRDP_INTEGRATION_FORWARD_H

#include "lucid/bus.h"
#include "lucid/nodes.h"

/* Returns the input of the host operation; NULL: the call was answered with an error. */
typedef json_t *(*forward_make)(struct call *c);
/* Returns the response as a new document, made from that of the host. NULL in the row: it is passed on unchanged. */
typedef json_t *(*forward_answer)(struct call *c, json_t *doc);
struct forward {
	const char *op, *host;
	forward_make make;
	forward_answer answer;
};
extern const struct forward forwards[];
extern const size_t forwards_n;

/* Serves every row of the table on this bus. The result is the context of these handlers; free it when the bus has no more calls in
 * progress. */
struct route;
struct route *forward_serve(struct bus *b, const struct nodes *n);

#endif
