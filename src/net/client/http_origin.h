/*
 * http_origin: the requests of a client to one origin (scheme, host and port, or a Unix socket): how many have a connection, and the
 * queue of those that wait for one. Floor F2, loop thread only. Not for: the connections (http_pool.h).
 */
#ifndef NET_CLIENT_HTTP_ORIGIN_H
#define NET_CLIENT_HTTP_ORIGIN_H

#include "lucid/list.h"
#include "net/http_url.h"

/* Exists while the origin has requests. */
struct http_origin {
	struct list node;
	struct http_url url;
	struct list queue; /* oldest request first */
	unsigned n_queued, n_busy;
};

struct http_origins {
	struct list all;
	unsigned max_busy, max_queued; /* of each origin */
};

void http_origins_init(struct http_origins *os);
struct http_origin *http_origin_get(struct http_origins *os, const struct http_url *url);
/* True: neither a connection nor a place in the queue is free. */
bool http_origin_full(const struct http_origins *os, const struct http_origin *o);
/* True: a request is queued, and a connection is free for it. */
bool http_origin_ready(const struct http_origins *os, const struct http_origin *o);
void http_origin_enqueue(struct http_origin *o, struct list *request);
/* Moves a request from the queue to those that have a connection, which the caller lists. */
void http_origin_dequeue(struct http_origin *o, struct list *request);
/* A request has ended; the caller has removed it from its list. Frees the origin with its last request. True: others are queued. */
bool http_origin_leave(struct http_origin *o, bool was_queued);

#endif
