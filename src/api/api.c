#include "api/core.h"

#include <assert.h>
#include <stdio.h>

#include "api/audit.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "roles/contract/contract.h"

#define BAD_TOKENS_PER_MINUTE 30 /* from one address */

/* Our own pages; each reads, and each listener has them. `bare` ones are on the Prometheus port too. */
static const struct {
	const char *path;
	void (*page)(struct request *q);
	bool bare;
	const struct shape *query;
} pages[] = {
	{ "/health", health_page, true },
	{ "/health/live", health_live_page, true },
	{ "/health/ready", health_ready_page, true },
	{ "/metrics", metrics_page_page, true },
	{ "/openapi.json", openapi_page, false },
	{ "/events", events_page, false, &events_query },
	{ "/docs", docs_page, false },
	{ "/docs/style.css", docs_style_page, false },
	{ "/redoc", docs_page, false },
	{ "/", root_page, false },
};

static const char *const verbs[API_METHODS] = {
	[HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

static enum http_method verb_of(const struct op *op)
{
	for (size_t i = 0; i < API_METHODS; i++)
		if (verbs[i] && str_eq(verbs[i], op->verb))
			return (enum http_method)i;
	assert(!"a row with a verb that is not one");
	abort();
}

/* Allow: what the rows take, HEAD where there is GET, and OPTIONS. */
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

static void endpoint_done(struct endpoint *e)
{
	for (size_t i = 0; i < API_METHODS; i++)
		free(e->series[i]);
}

static void endpoints_free(struct endpoint *e)
{
	while (e) {
		struct endpoint *next = e->next;
		endpoint_done(e);
		free(e);
		e = next;
	}
}

const char *api_service_of(const struct api *a, const char *role)
{
	for (const struct role *const *r = a->env.all_roles; *r; r++)
		if (str_eq((*r)->name, role))
			return (*r)->service;
	return role;
}

bool api_serves(const struct api *a, const char *role)
{
	if (str_eq(role, ROLE_COMMON))
		return a->env.store != NULL;
	for (const struct role *const *r = a->env.roles; *r; r++)
		if (str_eq((*r)->name, role))
			return true;
	return false;
}

static void add_op(struct api *a, const struct op *op)
{
	struct endpoint *e = router_template(a->router, op->path);
	if (!e) {
		e = endpoint_new(&a->endpoints, op->path, api_service_of(a, op->role));
		router_add(a->router, op->path, e);
	}
	enum http_method m = verb_of(op);
	assert(!e->ops[m]);
	e->ops[m] = op;
	fill_allow(e);
}

static void add_ops(struct api *a)
{
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if ((*t)->ops[i].verb)
				add_op(a, &(*t)->ops[i]);
}

/* The role's rows that are also answered without its base path. */
static void add_short_forms(struct api *a, struct listener *l)
{
	size_t base = strlen(l->role->base_path);
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++) {
			const struct op *op = &(*t)->ops[i];
			if (op->verb && op->flags & OP_SHORT && str_eq(op->role, l->role->name) &&
			    str_starts(op->path, l->role->base_path))
				router_add(l->router, op->path + base, router_template(a->router, op->path));
		}
}

int api_listen(struct api *a, int fd, const struct role *role)
{
	if (a->nlisteners == API_LISTENERS)
		return -ERR_BUSY;
	bool secure = role && *config_str(a->env.config, "TLS_CERT_FILE"); /* the Prometheus port stays plain */
	int rc = http_server_listen(a->server, fd, (int)a->nlisteners, secure);
	if (rc < 0)
		return rc;
	struct listener *l = &a->listeners[a->nlisteners++];
	l->api = a;
	l->role = role;
	l->service = role ? role->service : "lucid-rdp";
	l->router = router_new();
	l->unmatched = (struct endpoint){ .path = "unmatched", .service = l->service, .allow = "OPTIONS" };
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (!role && !pages[i].bare)
			continue;
		struct endpoint *e = endpoint_new(&l->pages, pages[i].path, l->service);
		e->page = pages[i].page;
		e->query = pages[i].query;
		fill_allow(e);
		router_add(l->router, e->path, e);
	}
	if (role)
		add_short_forms(a, l);
	return 0;
}

static void make_metrics(struct api *a)
{
	a->requests =
	    metric_family("rdp_requests_total", METRIC_COUNTER, "service,endpoint,method,status", "Requests answered.");
	a->seconds = metric_family("rdp_request_duration_seconds", METRIC_HISTOGRAM, "service,endpoint,method",
				   "Time from the end of a request's head to its answer.");
	struct metric_family *f = metric_family("rdp_auth_failures_total", METRIC_COUNTER, "reason",
						"Requests refused for their token, by reason.");
	for (size_t i = 1; i < TOKEN_FAULTS; i++)
		a->auth_failures[i] = metric_with(f, token_fault_name((enum token_fault)i));
	a->auth_failures[TOKEN_OK] = metric_with(f, "none");
	a->auth_failures[TOKEN_FAULTS] = metric_with(f, "scope");
	f = metric_family("rdp_rate_limited_total", METRIC_COUNTER, "class", "Requests refused by a rate limit.");
	for (size_t i = 0; i < RATE_CLASSES; i++)
		a->limited[i] = metric_with(f, access_class_name((enum rate_class)i));
}

void api_reload(struct api *a, const struct config *c, struct token_keys *keys)
{
	a->env.config = c;
	a->env.keys = keys;
	a->deadline_ms = (unsigned)config_int(c, "REQUEST_TIMEOUT") * 1000;
	if (a->server)
		http_server_body_timeout(a->server, a->deadline_ms / 1000);
	a->metrics_public = config_bool(c, "METRICS_PUBLIC");
	a->any_host = false;
	for (const char *const *host = config_list(c, "ALLOWED_HOSTS"); *host; host++)
		a->any_host |= str_eq(*host, "*");
	cors_reload(a);
	health_reload(a->health, c);
	audit_set_retention(a->audit, config_int(c, "AUDIT_RETENTION_DAYS"));
	proxies_free(a->proxies);
	a->proxies = proxies_new(config_list(c, "TRUSTED_PROXIES"));
	bool limited = config_bool(c, "RATE_LIMIT_ENABLED");
	unsigned sessions = (unsigned)config_int(c, "RATE_LIMIT_SESSION_CREATE");
	const struct rate_limit limits[RATE_CLASSES] = {
		[RATE_ORDINARY] = { limited ? (unsigned)config_int(c, "RATE_LIMIT_PER_MINUTE") : 0,
				    (unsigned)config_int(c, "RATE_LIMIT_BURST_SIZE") },
		[RATE_SESSIONS] = { limited ? sessions : 0, sessions },
		[RATE_BAD_TOKENS] = { limited ? BAD_TOKENS_PER_MINUTE : 0, BAD_TOKENS_PER_MINUTE },
	};
	rate_set(a->rate, limits);
}

struct api *api_new(const struct api_env *env)
{
	static const struct rate_limit none[RATE_CLASSES];
	struct api *a = XNEW(struct api);
	a->env = *env;
	a->started_us = clock_mono_us();
	id_hex(a->id_prefix, 4);
	list_init(&a->open);
	a->router = router_new();
	a->rate = rate_new(none);
	a->health = health_new(env->loop);
	a->gauges = gauges_new();
	make_metrics(a);
	add_ops(a);
	if (env->store) {
		bus_serve(env->bus, op_find("audit.list"), audit_list, a);
		if (config_bool(env->config, "AUDIT_LOG"))
			a->audit = audit_new(env->loop, env->store, config_int(env->config, "AUDIT_RETENTION_DAYS"));
	}
	api_reload(a, env->config, env->keys);
	a->idempotency = idempotency_new(a);
	a->events = events_new(a);
	const struct config *c = env->config;
	a->server = http_server_new(env->loop,
				    &(struct http_limits){
					.max_body = (size_t)config_int(c, "MAX_BODY_BYTES"),
					.max_head = (size_t)config_int(c, "MAX_HEADER_BYTES"),
					.max_connections = (size_t)config_int(c, "MAX_CONNECTIONS"),
					.head_timeout_s = 10,
					.body_timeout_s = (unsigned)config_int(c, "REQUEST_TIMEOUT"),
					.idle_timeout_s = (unsigned)config_int(c, "IDLE_TIMEOUT"),
				    },
				    rest_on_request, reply_refusal, a);
	return a;
}

int api_tls(struct api *a, const struct http_tls *t, char *why, size_t size)
{
	return http_server_tls(a->server, t, why, size);
}

void api_add_check(struct api *a, const char *name, bool essential, api_check check, void *arg)
{
	health_add(a->health, name, essential, check, arg);
}

static void on_http_drained(void *arg)
{
	struct api *a = arg;
	audit_drain(a->audit, a->drained, a->drained_arg);
}

void api_drain(struct api *a, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	events_drain(a->events);
	a->drained = done;
	a->drained_arg = arg;
	http_server_drain(a->server, grace_ms, on_http_drained, a);
}

void api_stop(struct api *a)
{
	idempotency_stop(a->idempotency);
}

void api_free(struct api *a)
{
	if (!a)
		return;
	/* who outstayed the drain is answered now: nothing of a request may be left when this is gone */
	struct list *n;
	while ((n = list_take_first(&a->open))) {
		struct request *q = CONTAINER_OF(n, struct request, node);
		bus_cancel(a->env.bus, q->call);
		rate_redis_forget(TAKE_PTR(q->asked));
		idempotency_forget(q);
		reply_error_text(q, ERR_UNAVAILABLE,
				 "the service is shutting down; look at the object's state before trying again");
	}
	idempotency_free(a->idempotency);
	events_free(a->events);
	health_free(a->health);
	http_server_free(a->server);
	proxies_free(a->proxies);
	for (size_t i = 0; i < a->nlisteners; i++) {
		router_free(a->listeners[i].router);
		endpoints_free(a->listeners[i].pages);
		endpoint_done(&a->listeners[i].unmatched);
	}
	router_free(a->router);
	endpoints_free(a->endpoints);
	rate_free(a->rate);
	gauges_free(a->gauges);
	audit_free(a->audit);
	blob_unref(a->openapi);
	blob_unref(a->docs);
	free(a);
}
