/*
 * http_feed: follow a stream of server-sent events of another HTTP server. Floor F2, loop thread only, never blocks. One
 * connection of its own; a stream that is silent for too long is over. Not for: connecting again (bus/feed.h).
 */
#ifndef NET_HTTP_FEED_H
#define NET_HTTP_FEED_H

#include "net/http_client.h"
#include "net/sse.h"

struct http_feed;
struct http_feed_events {
	void (*opened)(void *arg); /* the other side streams */
	void (*event)(const struct sse_event *e, void *arg);
	/* It is over, and gone when this returns; last of all. status: what was answered instead of a stream, with its body, or 0. */
	void (*closed)(int status, const char *why, const char *body, void *arg);
};

/* Callbacks come from the loop, never from within these. idle_ms: the longest silence, comments counted as words. NULL with a
 * sentence when the URL or a header cannot be sent. */
struct http_feed *http_feed_open(struct loop *l, struct http_client *c, const char *url, const struct http_header *headers, size_t n,
				 int64_t idle_ms, const struct http_feed_events *events, void *arg, const char **ret_why);
/* Nothing is called any more. From a callback too; takes NULL. Before the client is freed. */
void http_feed_close(struct http_feed *f);

#endif
