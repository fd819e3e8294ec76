/*
 * router: from a path to an endpoint. Floor F5, loop thread, never blocks, no memory is taken per request. A path is split
 * and percent-decoded exactly once; what could mean two things to two readers is refused.
 */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "lucid/op.h"

#define PATH_SEGMENTS 16
#define PATH_ROOM 4096 /* more than the gate lets through */
#define PATH_DEEP (PATH_SEGMENTS + 1)

struct path {
	size_t n; /* segments; PATH_DEEP: more than any route has */
	const char *segment[PATH_SEGMENTS];
	size_t len[PATH_SEGMENTS];
	char room[PATH_ROOM];
};
/* NULL when good, else a sentence. A slash at the end is dropped. */
const char *path_split(struct path *p, const char *raw);

struct endpoint;
struct router;
struct router *router_new(void);
void router_free(struct router *r); /* not the endpoints; takes NULL */
/* `template` as in an operation's row. False when the place is taken. */
bool router_add(struct router *r, const char *template, struct endpoint *e);
/* The endpoint of a template (not of a path), or NULL. */
struct endpoint *router_template(const struct router *r, const char *template);
/* Literal segments go before parameters. Parameters, borrowed from p, in the template's order; those not used are NULL. */
struct endpoint *router_find(const struct router *r, const struct path *p, const char *ret_params[OP_MAX_PARAMS]);

#endif
