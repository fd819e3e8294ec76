#include "api/routes.h"

#include <assert.h>

#include "api/request.h"
#include "lucid/str.h"

static const char *const verbs[API_METHODS] = {
	[HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

static enum http_method verb_of(const struct op *op)
{
	for (size_t i = 0; i < API_METHODS; i++)
		if (verbs[i] && str_eq(verbs[i], op->verb))
			return (enum http_method)i;
	assert(!"a row with an invalid verb");
	abort();
}

/* The Allow header: the methods of the rows, HEAD if there is GET, and OPTIONS. */
static void fill_allow(struct endpoint *e)
{
	struct strbuf b = { 0 };
	for (size_t i = 0; i < API_METHODS; i++) {
		bool has = e->ops[i] || (e->page && i == HTTP_GET);
		if (!has || !verbs[i])
			continue;
		strbuf_puts(&b, verbs[i]);
		strbuf_puts(&b, i == HTTP_GET ? ", HEAD, " : ", ");
	}
	strbuf_puts(&b, "OPTIONS");
	bool fits = str_copy(e->allow, sizeof e->allow, b.s);
	assert(fits);
	(void)fits;
	strbuf_done(&b);
}

static struct endpoint *endpoint_new(struct endpoint **owner, const char *path, const char *service)
{
	struct endpoint *e = XNEW(struct endpoint);
	e->path = path;
	e->service = service;
	e->next = *owner;
	*owner = e;
	return e;
}

void routes_endpoint_done(struct endpoint *e)
{
	for (size_t i = 0; i < API_METHODS; i++)
		free(e->series[i]);
}

void routes_endpoints_free(struct endpoint *e)
{
	while (e) {
		struct endpoint *next = e->next;
		routes_endpoint_done(e);
		free(e);
		e = next;
	}
}

static void add_op(struct api *a, const struct op *op)
{
	struct endpoint *e = router_template(a->router, op->path);
	if (!e) {
		e = endpoint_new(&a->endpoints, op->path, api_env_service(&a->env, op->role));
		router_add(a->router, op->path, e);
	}
	enum http_method m = verb_of(op);
	assert(!e->ops[m]);
	e->ops[m] = op;
	fill_allow(e);
}

void routes_add_operations(struct api *a)
{
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if ((*t)->ops[i].verb)
				add_op(a, &(*t)->ops[i]);
}

void routes_add_short_forms(struct listener *l)
{
	struct api *a = l->api;
	size_t base = strlen(l->role->base_path);
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++) {
			const struct op *op = &(*t)->ops[i];
			if (op->verb && op->flags & OP_SHORT && str_eq(op->role, l->role->name) &&
			    str_starts(op->path, l->role->base_path))
				router_add(l->router, op->path + base, router_template(a->router, op->path));
		}
}

void routes_add_page(struct listener *l, const struct page_row *row)
{
	struct endpoint *e = endpoint_new(&l->pages, row->path, l->service);
	e->page = row->page;
	e->query = row->query;
	e->scope = row->scope;
	e->rate = row->rate;
	e->for_roles = row->for_roles;
	fill_allow(e);
	router_add(l->router, e->path, e);
}

struct endpoint *routes_find(const struct request *q, const struct path *path, const char *ret_params[OP_MAX_PARAMS])
{
	struct endpoint *e = router_find(q->listener->router, path, ret_params);
	return e || !q->listener->role ? e : router_find(q->api->router, path, ret_params);
}
