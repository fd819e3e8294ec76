/*
 * http_link: a connection of the client to one place: plain, with TLS or to a Unix socket; one request at a time, then the
 * next. Floor F2, loop thread only, never blocks. Not for: which connection a request takes, and how long it may last
 * (http_client.h).
 */
#ifndef NET_HTTP_LINK_H
#define NET_HTTP_LINK_H

#include "net/http_answer.h"
#include "net/http_url.h"
#include "net/tls.h"

struct bufferevent;
struct evdns_base;
struct link;

#define LINK_DIAL_MS 5000 /* name, connection and handshake together */

struct link_events {
	void (*answer)(struct link *k, void *arg); /* link_answer has it; link_may_stay says whether another may follow */
	void (*lost)(struct link *k, void *arg);   /* it is of no use any more; `why` says why */
	/* More of the answer is there: what is taken out of its body does not count towards max_body. NULL: it is gathered. */
	void (*more)(struct link *k, void *arg);
};

struct link {
	struct loop *loop;
	struct list node; /* the owner's */
	void *call;	  /* the owner's */
	int64_t idle_since_ms;
	size_t counted;	  /* the owner's */
	struct http_url place; /* without its path */
	const struct link_events *events;
	void *arg;
	struct bufferevent *bev;
	struct ssl_st *ssl;	/* the bufferevent's */
	struct evbuffer *request; /* until the connection stands */
	struct evbuffer *extra;	  /* what was read beside the bufferevent, as far as the answer has not taken it */
	struct loop_timer *dialling;
	struct http_answer answer;
	bool up;   /* connected, and its handshake done */
	bool busy; /* an answer is awaited */
	bool sent; /* something of the request has left, as far as can be known */
	bool lost;
	bool held;
	bool greedy; /* the owner's: a long answer may come, read it in large pieces */
	struct loop_task again;
	char why[200];
};

/* Dials. `dns` is for names (NULL: there are none to resolve with, which `place` then must not need), `tls` for https. Events
 * come from the loop, never from within these. */
struct link *link_new(struct loop *l, struct evdns_base *dns, struct ssl_ctx_st *tls, const struct http_url *place,
		      const struct link_events *events, void *arg);
void link_free(struct link *k); /* not from within an event */
/* Takes what is in `request` as soon as it stands. */
void link_ask(struct link *k, struct evbuffer *request, bool bodyless, size_t max_body);
/* The other side has closed it, or it was lost; looks into the kernel. */
bool link_is_gone(const struct link *k);
bool link_may_stay(const struct link *k);
/* Leave what comes with the kernel, and so with the other side, until it is taken up again. Then what is here already is told of
 * from the loop. */
void link_hold(struct link *k, bool hold);

#endif
