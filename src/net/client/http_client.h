/*
 * http_client: requests to other HTTP servers. Floor F2, loop thread only, never blocks. Supports http://, https:// and unix: URLs
 * (http_url.h); user:password@ is refused with ERR_INVALID. With https:// the server must present a certificate for the requested host,
 * issued by a trusted authority. Connections are reused, with one request at a time on each. Requests that find all connections to
 * their origin in use are queued up to a limit, beyond which they are refused at once.
 *
 * Redirects are not followed. Nothing is retried: only the caller knows whether that is safe, and http_result_outcome tells it whether
 * the request may have been performed.
 *
 *   http_client     admission: limits on requests and memory
 *   http_ask        what is sent
 *   http_call       one request from its queue to its callback
 *   http_origin     requests to one server: in flight, queued
 *   http_dialer     new connections: resolver, TLS; http_pool: idle ones; http_link: one connection
 *   http_answer     the parser of responses
 *   http_result     the outcome; http_body: a response body that is streamed
 *   http_feed, sse  a stream of server-sent events, on a connection of its own
 */
#ifndef NET_CLIENT_HTTP_CLIENT_H
#define NET_CLIENT_HTTP_CLIENT_H

#include "net/client/http_ask.h"
#include "net/client/http_result.h"

struct http_client;
struct http_call;
struct http_tls;

/* At most max_in_flight requests at a time, queued ones included. http_client_free ends all of them: their callbacks get
 * HTTP_NEVER_SENT or HTTP_UNCERTAIN. */
struct http_client *http_client_new(struct loop *l, unsigned max_in_flight);
void http_client_free(struct http_client *c); /* takes NULL; not from a callback */
/* For each origin: the number of connections with a request, and of requests that wait for one. Default: max_in_flight, and none. */
void http_client_limit_origin(struct http_client *c, unsigned connections, unsigned waiting);
/* The total size of response bodies that are not complete yet; a request whose response would exceed it fails. Default: no limit. */
void http_client_limit_answers(struct http_client *c, size_t bytes);
/* As http_dialer_tls. Idle connections are closed; those with a request complete it with the previous settings. */
int http_client_tls(struct http_client *c, const struct http_tls *t, char *why, size_t size);

/* Called exactly once, never from within http_client_ask; res and everything it returns are borrowed until the callback returns. */
typedef void (*http_client_cb)(const struct http_result *res, void *arg);

/* 0, -ERR_INVALID (URL, method or header; ret_why says which) or -ERR_BUSY (a limit is reached); on an error the callback is not
 * called. ret_why and ret_call may be NULL; the call is valid until its callback. */
int http_client_ask(struct http_client *c, const struct http_ask *ask, http_client_cb cb, void *arg, const char **ret_why,
		    struct http_call **ret_call);
void http_client_cancel(struct http_call *call); /* its callback is not called */
unsigned http_client_in_flight(const struct http_client *c);

/* For http_feed.c: a separate connection with the resolver and certificates of this client. NULL with a static sentence. */
struct link;
struct link_events;
struct link *http_client_dial(struct http_client *c, const struct http_url *origin, const struct link_events *events, void *arg,
			      const char **ret_why);
void http_client_drop(struct http_client *c, struct link *k); /* frees it at the end of the loop's turn */

#endif
