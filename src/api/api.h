/*
 * api: the REST face of operations. Floor F5, loop thread only, never blocks. From the rows of op_tables come routes,
 * access, validation (in the bus), ETags, /openapi.json and metric labels; beside them stand health, readiness, metrics and
 * the error page. Knows HTTP and the bus, no role.
 */
#ifndef API_API_H
#define API_API_H

#include "lucid/role.h"

struct api;
struct http_tls; /* net/tls.h */
struct token_keys;
struct rate_redis; /* cache/rate_redis.h */

struct api_env {
	struct loop *loop;
	struct bus *bus;
	const struct config *config;
	struct token_keys *keys;
	struct store *store; /* keeps the answers to Idempotency-Keys and the audit log; NULL: those are refused, and none is kept */
	struct rate_redis *shared_rate; /* limits shared with other processes; NULL: none are */
	const struct role *const *roles; /* that live in this process, NULL-ended */
	const struct role *const *all_roles; /* every role there is, NULL-ended */
};
struct api *api_new(const struct api_env *env);
/* Take up what may change live: rate limits, METRICS_PUBLIC, ALLOWED_HOSTS, REQUEST_TIMEOUT, keys. Both outlive the api, or
 * the next reload. */
void api_reload(struct api *a, const struct config *c, struct token_keys *keys);
/* What the roles' ports show and ask for from the next connection on: see http_server_tls. With TLS_CERT_FILE set they take
 * nobody before this was called. */
int api_tls(struct api *a, const struct http_tls *t, char *why, size_t size);
/* Answer on a listening socket for a role; NULL role: the Prometheus port (/metrics and health alone). 0 or negated. */
int api_listen(struct api *a, int fd, const struct role *role);

/* Readiness: a named check, asked at most once a second, all side by side, each bounded to 5 s. */
enum api_health { API_HEALTHY, API_UNHEALTHY, API_DISABLED };
typedef void (*api_check_done)(void *token, enum api_health health, const char *message);
typedef void (*api_check)(void *arg, api_check_done done, void *token); /* calls done now or later, once */
/* `essential`: unhealthy makes readiness 503; else degraded. name is static ("store", "xrdp", a role's name). */
void api_add_check(struct api *a, const char *name, bool essential, api_check check, void *arg);

void api_drain(struct api *a, int64_t grace_ms, void (*done)(void *arg), void *arg);
/* The loop has ended: whatever others answer from now on begins nothing more. Before roles and store go. */
void api_stop(struct api *a);
/* After the drain and before the bus goes; who still waits is answered 503. Takes NULL. */
void api_free(struct api *a);

#endif
