/*
 * http_feed: receives a stream of server-sent events from another HTTP server, on a connection of its own. Floor F2, loop thread only,
 * never blocks. A stream without any data for too long is closed. Not for: reconnecting (bus/feed.h).
 */
#ifndef NET_CLIENT_HTTP_FEED_H
#define NET_CLIENT_HTTP_FEED_H

#include "net/client/http_client.h"
#include "net/client/sse.h"

struct http_feed;
struct http_feed_events {
	void (*opened)(void *arg); /* the response is an event stream */
	void (*event)(const struct sse_event *e, void *arg);
	/* Called last; the feed is freed when this returns. status: of a response that is not an event stream, with its body; else 0. */
	void (*closed)(int status, const char *why, const char *body, void *arg);
};

/* Callbacks come from the loop, never from within these functions. idle_ms: the longest time without data; comments count as data. NULL
 * with a static sentence if the URL or a header is invalid. */
struct http_feed *http_feed_open(struct loop *l, struct http_client *c, const char *url, const struct http_header *headers, size_t n,
				 int64_t idle_ms, const struct http_feed_events *events, void *arg, const char **ret_why);
/* No callback is called any more. May be called from a callback; takes NULL. Close all feeds before freeing the client. */
void http_feed_close(struct http_feed *f);

#endif
