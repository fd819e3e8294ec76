/*
 * router: finds the endpoint of a path. Floor F5, loop thread, never blocks, allocates no memory for a request. A path is split and
 * percent-decoded exactly once; paths that different programs could interpret differently are refused.
 */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "lucid/op.h"

#define PATH_SEGMENTS 16
#define PATH_ROOM 4096 /* more than the limit of the gate */
#define PATH_DEEP (PATH_SEGMENTS + 1)

struct path {
	size_t n; /* number of segments; PATH_DEEP: more than any route has */
	const char *segment[PATH_SEGMENTS];
	size_t len[PATH_SEGMENTS];
	char room[PATH_ROOM];
};
/* NULL, or why the path is invalid (static). A trailing slash is ignored. */
const char *path_split(struct path *p, const char *raw);

struct endpoint;
struct router;
struct router *router_new(void);
void router_free(struct router *r); /* does not free the endpoints; takes NULL */
/* `template` as in an operation's row. False: it is already in use. */
bool router_add(struct router *r, const char *template, struct endpoint *e);
/* The endpoint of a template (not of a path), or NULL. */
struct endpoint *router_template(const struct router *r, const char *template);
/* Literal segments precede parameters. ret_params are borrowed from p, in the order of the template; unused ones are NULL. */
struct endpoint *router_find(const struct router *r, const struct path *p, const char *ret_params[OP_MAX_PARAMS]);

#endif
