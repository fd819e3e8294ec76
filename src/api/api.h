/*
 * api: the REST API. Floor F5, loop thread only, never blocks. Routes, access, validation (in the bus), ETags, /openapi.json and metric
 * labels derive from the rows of op_tables. Further pages: health, readiness, metrics, events. Depends on HTTP and the bus, not on roles.
 */
#ifndef API_API_H
#define API_API_H

#include "api/env.h"
#include "api/health.h"

struct api;
struct http_tls; /* net/tls.h */

struct api *api_new(const struct api_env *env);
/* Applies live settings and keys. Both must stay valid until the next reload or api_free. */
void api_reload(struct api *a, const struct config *c, struct token_keys *keys);
/* The TLS settings of the roles' ports for new connections: see http_server_tls. With TLS_CERT_FILE set, the ports refuse all connections
 * until this is called. */
int api_tls(struct api *a, const struct http_tls *t, char *why, size_t size);
/* Serves a listening socket for a role; NULL role: the Prometheus port, with /metrics and health only. 0 or a negated error. */
int api_listen(struct api *a, int fd, const struct role *role);

/* Adds a readiness check: see health_add. */
void api_add_check(struct api *a, const char *name, bool essential, api_check check, void *arg);

/* Ends streams, completes requests in flight and writes the audit log, then calls done; requests for grace_ms at most. */
void api_drain(struct api *a, int64_t grace_ms, void (*done)(void *arg), void *arg);
/* After the loop has ended: answers that still arrive start no further work. Call it before roles and store are freed. */
void api_stop(struct api *a);
/* After the drain and before bus_free. Open requests are answered with 503. Takes NULL. */
void api_free(struct api *a);

#endif
