/* routes: the endpoints of operations and pages, and the search for that of a path. Floor F5, loop thread only, never blocks. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/router.h"

struct api;
struct endpoint;
struct listener;
struct request;

/* A page, which supports GET; each listener has it. */
struct page_row {
	const char *path;
	void (*page)(struct request *q);
	bool bare; /* on the Prometheus port too */
	enum op_scope scope;
	enum op_rate rate;
	bool for_roles;
	const struct shape *query; /* NULL: none */
};
void routes_add_page(struct listener *l, const struct page_row *row);

/* Adds all rows of all roles. */
void routes_add_operations(struct api *a);
/* Adds the operations of the listener's role that are available without its base path too (OP_SHORT). Call it after
 * routes_add_operations. */
void routes_add_short_forms(struct listener *l);
void routes_endpoints_free(struct endpoint *e); /* frees the whole list; takes NULL */
void routes_endpoint_done(struct endpoint *e); /* for an embedded endpoint */

/* The endpoint of a path at the listener of q, or NULL; parameters as router_find. */
struct endpoint *routes_find(const struct request *q, const struct path *path, const char *ret_params[OP_MAX_PARAMS]);

#endif
