/*
 * http_link: a connection of the client to one origin: TCP, TLS or a Unix socket. It carries one request at a time. Floor F2, loop
 * thread only, never blocks. Not for: the choice of a connection for a request (http_pool.h), deadlines of requests (http_call.h).
 */
#ifndef NET_CLIENT_HTTP_LINK_H
#define NET_CLIENT_HTTP_LINK_H

#include "net/client/http_answer.h"
#include "net/http_url.h"
#include "net/tls.h"

struct bufferevent;
struct evdns_base;
struct link;

#define LINK_DIAL_MS 5000 /* for name resolution, connection and handshake together */

struct link_events {
	void (*answer)(struct link *k, void *arg); /* link->answer is complete; link_may_stay: whether another request may follow */
	void (*lost)(struct link *k, void *arg);   /* the connection is unusable; link->why has the reason */
	/* More of the response has arrived. What the callback removes from answer.body does not count towards max_body. NULL: the whole
	 * body is collected. */
	void (*more)(struct link *k, void *arg);
};

struct link {
	struct loop *loop;
	struct list node; /* the owner's */
	void *call;	  /* the owner's */
	int64_t idle_since_ms;
	size_t counted;	  /* the owner's */
	struct http_url origin; /* without its path */
	const struct link_events *events;
	void *arg;
	struct bufferevent *bev;
	struct ssl_st *ssl;	/* the bufferevent's */
	struct evbuffer *request; /* until the connection is established */
	struct evbuffer *extra;	  /* input read without the bufferevent (greedy) that the parser has not consumed yet */
	struct loop_timer *dialling;
	struct http_answer answer;
	bool up;   /* connected, and the TLS handshake is complete */
	bool busy; /* waits for a response */
	bool sent; /* bytes of the request may have been sent */
	bool lost;
	bool held; /* see link_hold */
	bool greedy; /* the owner's: the response may be long; read it in large pieces */
	struct loop_task again;
	char why[200];
};

/* Starts to connect. `dns` resolves names (may be NULL if `origin` has an address), `tls` is for https. Events come from the loop, never
 * from within these functions. */
struct link *link_new(struct loop *l, struct evdns_base *dns, struct ssl_ctx_st *tls, const struct http_url *origin,
		      const struct link_events *events, void *arg);
void link_free(struct link *k); /* not from within an event */
/* Sends the bytes of `request` (and empties it) as soon as the connection is established. */
void link_ask(struct link *k, struct evbuffer *request, bool bodyless, size_t max_body);
/* True: the connection is lost, or the peer has closed it. Asks the kernel. */
bool link_is_gone(const struct link *k);
/* True: after this response the connection can carry another request. */
bool link_may_stay(const struct link *k);
/* Stops reading, so that the kernel's buffers fill and the peer has to wait (back-pressure), or continues. After continuing, data that
 * arrived before is reported from the loop. */
void link_hold(struct link *k, bool hold);

#endif
