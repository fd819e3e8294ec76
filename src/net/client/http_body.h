/*
 * http_body: a response body as a source, while it arrives. Floor F2, loop thread only. It buffers up to HTTP_BODY_HELD bytes that the
 * reader has not requested yet; beyond that it stops reading from the connection, and the peer has to wait. Not for: responses that are
 * collected whole (http_call.c).
 */
#ifndef NET_CLIENT_HTTP_BODY_H
#define NET_CLIENT_HTTP_BODY_H

#include "lucid/source.h"
#include "net/client/http_link.h"

#define HTTP_BODY_IDLE_MS 30000 /* the source fails if nothing arrives for this long while the reader waits */
#define HTTP_BODY_HELD (2 * SOURCE_PIECE)

struct http_body;
struct http_body_events {
	/* The reader closed the source before the end, or the idle time passed. The connection must be closed, and no function of the body
	 * may be called again. */
	void (*dropped)(void *arg);
};

/* The body of the response that arrives on k. */
struct http_body *http_body_new(struct loop *l, struct link *k, const struct http_body_events *events, void *arg);
struct source *http_body_source(struct http_body *b); /* the caller of http_body_new owns the first reference */
void http_body_more(struct http_body *b); /* takes what has arrived by now */
/* Takes the rest. The body is complete, or with `why` truncated. Must be the last call: after it, the link is not used and `dropped` is
 * not called. */
void http_body_end(struct http_body *b, const char *why);

#endif
