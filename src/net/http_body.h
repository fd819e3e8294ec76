/*
 * http_body: the body of an answer as a source, while it comes. Floor F2, loop thread only. It holds what its reader has not asked
 * for yet, and past HTTP_BODY_HELD bytes leaves the rest with the other side. Not for: answers that are gathered (http_client.c).
 */
#ifndef NET_HTTP_BODY_H
#define NET_HTTP_BODY_H

#include "lucid/source.h"
#include "net/http_link.h"

#define HTTP_BODY_HELD (2 * SOURCE_PIECE)

struct http_body;
struct http_body_events {
	/* The reader has let go before the end, or waited in vain: the connection is of no more use, and the body not to be called
	 * again. */
	void (*dropped)(void *arg);
};

/* Of what comes on k; each call of the below takes what is there by now. */
struct http_body *http_body_new(struct loop *l, struct link *k, const struct http_body_events *events, void *arg);
struct source *http_body_source(struct http_body *b); /* whose first hold is the maker's */
void http_body_more(struct http_body *b);
/* It is whole; or with `why` it broke off. The last call: neither the link is looked at again nor `dropped` called. */
void http_body_end(struct http_body *b, const char *why);

#endif
