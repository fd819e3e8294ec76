/*
 * rest: the bus over HTTP, to a role that lives behind a URL. Floor F4, loop thread only, never blocks. The call goes out as
 * the REST request its row describes, with the caller's identity in a short-lived token of our own, request id, trace,
 * If-Match, the time that is left and the number of hops. What was never sent is ERR_UNAVAILABLE, what was lost after it was
 * sent is ERR_UNCERTAIN. Events do not cross here.
 */
#ifndef BUS_REST_H
#define BUS_REST_H

#include "auth/token.h"
#include "bus/transport.h"
#include "net/http_client.h"

#define REST_MAX_HOPS 3
#define REST_HOPS_HEADER "X-Lucid-Hops"
#define REST_TIME_HEADER "X-Lucid-Deadline-Ms"

struct rest;
/* `url` without a trailing slash. Client and keys outlive it. */
struct rest *rest_new(struct http_client *client, struct token_keys *keys, const char *url);
void rest_free(struct rest *r); /* calls under way are answered with ERR_UNCERTAIN; takes NULL */
struct transport *rest_transport(struct rest *r);

#endif
