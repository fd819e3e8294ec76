#include "api/api.h"

#include "api/access.h"
#include "api/answer/account.h"
#include "api/answer/cors.h"
#include "api/answer/error.h"
#include "api/assets/assets.h"
#include "api/audit/audit.h"
#include "api/audit/list.h"
#include "api/audit/logins.h"
#include "api/audit/recordings.h"
#include "api/events/events.h"
#include "api/idempotency/idempotency.h"
#include "api/metrics_page.h"
#include "api/pages.h"
#include "api/proxy/allowed_hosts.h"
#include "api/proxy/proxy.h"
#include "api/reference/reference.h"
#include "api/request.h"
#include "api/rest.h"
#include "api/routes.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"
#include "redis/rate.h"

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
	pages_add(l, !role);
	if (role)
		routes_add_short_forms(l);
	return 0;
}

void api_reload(struct api *a, const struct config *c, struct token_keys *keys)
{
	a->env.config = c;
	a->env.keys = keys;
	a->deadline_ms = (unsigned)config_int(c, "REQUEST_TIMEOUT") * 1000;
	if (a->server)
		http_server_body_timeout(a->server, a->deadline_ms / 1000);
	a->metrics_public = config_bool(c, "METRICS_PUBLIC");
	allowed_hosts_reload(a);
	cors_reload(a);
	health_reload(a->health, c);
	audit_set_retention(a->audit, config_int(c, "AUDIT_RETENTION_DAYS"));
	proxies_free(a->proxies);
	a->proxies = proxies_new(config_list(c, "TRUSTED_PROXIES"));
	access_reload(a->access, c);
}

/* Connections of a proxy carry the requests of many clients. */
static bool is_proxy(const char *peer, void *api)
{
	const struct api *a = api;
	return proxies_trust(a->proxies, peer);
}

/* One address must never be able to use all connections, whatever the settings are. */
static size_t share_of_one(const struct config *c)
{
	return MIN((size_t)config_int(c, "MAX_CONNECTIONS_PER_ADDRESS"), (size_t)config_int(c, "MAX_CONNECTIONS") * 3 / 4);
}

struct api *api_new(const struct api_env *env)
{
	struct api *a = XNEW(struct api);
	a->env = *env;
	a->started_us = clock_mono_us();
	id_hex(a->id_prefix, 4);
	list_init(&a->open);
	a->router = router_new();
	a->account = account_new();
	a->access = access_new();
	a->health = health_new(env->loop);
	a->gauges = gauges_new();
	a->assets = assets_new();
	a->reference = reference_new();
	routes_add_operations(a);
	if (env->store) {
		a->audit_reader = (struct audit_reader){ env->loop, env->store };
		bus_serve(env->bus, op_find("audit.list"), audit_list, &a->audit_reader);
		if (config_bool(env->config, "AUDIT_LOG"))
			a->audit = audit_new(env->loop, env->store, config_int(env->config, "AUDIT_RETENTION_DAYS"));
	}
	a->logins = audit_logins(env->bus, a->audit);
	a->recordings = audit_recordings(env->bus, a->audit);
	api_reload(a, env->config, env->keys);
	a->idempotency = idempotency_new(a);
	a->events = events_new(a);
	const struct config *c = env->config;
	a->server = http_server_new(env->loop,
				    &(struct http_limits){
					.max_body = (size_t)config_int(c, "MAX_BODY_BYTES"),
					.max_head = (size_t)config_int(c, "MAX_HEADER_BYTES"),
					.max_connections = (size_t)config_int(c, "MAX_CONNECTIONS"),
					.max_per_address = share_of_one(c),
					.head_timeout_s = 10,
					.body_timeout_s = (unsigned)config_int(c, "REQUEST_TIMEOUT"),
					.idle_timeout_s = (unsigned)config_int(c, "IDLE_TIMEOUT"),
				    },
				    rest_on_request, error_refusal, a);
	http_server_exempt(a->server, is_proxy);
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
	/* requests still open after the drain are answered now: none may refer to the api once it is freed */
	struct list *n;
	while ((n = list_take_first(&a->open))) {
		struct request *q = CONTAINER_OF(n, struct request, node);
		bus_cancel(a->env.bus, q->call);
		rate_redis_forget(TAKE_PTR(q->asked));
		idempotency_forget(q);
		reply_error_text(q, ERR_UNAVAILABLE,
				 "the service is shutting down; read the object's state before retrying");
	}
	idempotency_free(a->idempotency);
	events_free(a->events);
	health_free(a->health);
	http_server_free(a->server);
	proxies_free(a->proxies);
	for (size_t i = 0; i < a->nlisteners; i++) {
		router_free(a->listeners[i].router);
		routes_endpoints_free(a->listeners[i].pages);
		routes_endpoint_done(&a->listeners[i].unmatched);
	}
	router_free(a->router);
	routes_endpoints_free(a->endpoints);
	access_free(a->access);
	account_free(a->account);
	gauges_free(a->gauges);
	bus_unsubscribe(a->logins);
	bus_unsubscribe(a->recordings);
	audit_free(a->audit);
	reference_free(a->reference);
	assets_free(a->assets);
	free(a);
}
