/*
 * rest: the bus over HTTP, to a process behind a URL. Floor F4, loop thread only, never blocks.
 *
 * A call becomes the REST request of its row, with our own token, the original caller (acting.h), request id, trace, If-Match, remaining
 * time and number of hops. A request that was never sent fails with ERR_UNAVAILABLE, a connection lost after sending with ERR_UNCERTAIN.
 * Idempotent operations and reads are retried before that, within the deadline. If a process does not answer, calls to it fail at once
 * for a while (breaker.h). Responses are collected whole, up to REST_ANSWER_MAX each and the client's limit for all; longer ones are
 * errors. Responses of rows with OP_STREAMS are passed on in pieces. Not for: events (feed.h).
 */
#ifndef BUS_REST_H
#define BUS_REST_H

#include "auth/service_token.h"
#include "bus/transport.h"
#include "net/client/http_client.h"

#define REST_MAX_HOPS 3
#define REST_HOPS_HEADER "X-Lucid-Hops"
#define REST_TIME_HEADER "X-Lucid-Deadline-Ms"
#define REST_ANSWER_MAX (8u << 20)

struct rest;
/* `url` has no trailing slash; one rest for each URL in a process. Client and token outlive it. */
struct rest *rest_new(struct loop *l, struct http_client *client, struct service_token *token, const char *url);
void rest_free(struct rest *r); /* calls in flight fail with ERR_UNCERTAIN; takes NULL */
struct transport *rest_transport(struct rest *r);
/* The peer has shown by other means that it works: closes the breaker. */
void rest_heard(struct rest *r);
/* Declares the metric families before the first rest_new, for the metrics reference. */
void rest_declare_figures(void);

#endif
