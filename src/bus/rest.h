/*
 * rest: the bus over HTTP, to a process that lives behind a URL. Floor F4, loop thread only, never blocks. The call goes out as
 * the REST request its row describes, with our own token, for whom it is made (acting.h), request id, trace, If-Match, the time
 * that is left and the number of hops. What was never sent is ERR_UNAVAILABLE, what was lost after it was sent ERR_UNCERTAIN;
 * what may be done twice is tried again before that, while there is time. A process that does not answer is left alone for a
 * while (breaker.h), and calls to it fail at once. Answers are gathered whole, up to REST_ANSWER_MAX each and what the client
 * allows for all of them, where a longer one is an error; those of rows with OP_STREAMS are given on in pieces as they come. Events do
 * not cross here (feed.h).
 */
#ifndef BUS_REST_H
#define BUS_REST_H

#include "auth/service_token.h"
#include "bus/transport.h"
#include "net/http_client.h"

#define REST_MAX_HOPS 3
#define REST_HOPS_HEADER "X-Lucid-Hops"
#define REST_TIME_HEADER "X-Lucid-Deadline-Ms"
#define REST_ANSWER_MAX (8u << 20)

struct rest;
/* `url` without a trailing slash, each once in a process. Client and token outlive it. */
struct rest *rest_new(struct loop *l, struct http_client *client, struct service_token *token, const char *url);
void rest_free(struct rest *r); /* calls under way are answered with ERR_UNCERTAIN; takes NULL */
struct transport *rest_transport(struct rest *r);
/* A sign of life from there by another way. */
void rest_heard(struct rest *r);
/* The families of its figures are there with the first of them, or with this: for the page that names all. */
void rest_declare_figures(void);

#endif
