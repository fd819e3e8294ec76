/*
 * sse: parser of a stream of server-sent events. Floor F2, pure; lines are bounded. Besides the standard fields it knows `seq` and
 * `viewer`, extensions of this program (src/api/events/events.c). Not for: connections (http_feed.h).
 */
#ifndef NET_CLIENT_SSE_H
#define NET_CLIENT_SSE_H

#include "lucid/str.h"

struct evbuffer;

#define SSE_LINE_MAX (256 * 1024)
#define SSE_ID_MAX 63
#define SSE_VIEWER_MAX 256

/* Borrowed until the callback returns. */
struct sse_event {
	const char *id;	  /* the latest id of the stream, "" for none */
	const char *name; /* "" for none */
	const char *data; /* "" for none: the event only sets an id */
	const char *seq;  /* "" for none */
	const char *viewer; /* "" for none */
};

struct sse {
	char id[SSE_ID_MAX + 1], name[128], seq[SSE_ID_MAX + 1], viewer[SSE_VIEWER_MAX + 1];
	struct strbuf data;
	bool told; /* a field of the current event was read */
	bool stop; /* set from the callback: stop parsing */
};

void sse_init(struct sse *s);
void sse_done(struct sse *s);
/* Consumes every complete line of `in`. False: the data is malformed, or a line is too long; do not call it again then. */
bool sse_feed(struct sse *s, struct evbuffer *in, void (*on_event)(const struct sse_event *e, void *arg), void *arg);

#endif
