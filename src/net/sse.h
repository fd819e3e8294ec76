/*
 * sse: reads server-sent events out of what a stream brings. Floor F2, pure; lines are bounded. Beside the fields of the
 * standard it knows `seq`, which is ours (src/api/events.c). Not for: connections (http_feed.h).
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include "lucid/str.h"

struct evbuffer;

#define SSE_LINE_MAX (256 * 1024)
#define SSE_ID_MAX 63

/* Borrowed until the callback returns. */
struct sse_event {
	const char *id;	  /* the latest that was told, "" for none */
	const char *name; /* "" for none */
	const char *data; /* "" for none: then only an id was told */
	const char *seq;  /* "" for none */
};

struct sse {
	char id[SSE_ID_MAX + 1], name[128], seq[SSE_ID_MAX + 1];
	struct strbuf data;
	bool told; /* something of an event was read */
	bool stop; /* set from the callback: nothing more is taken */
};

void sse_init(struct sse *s);
void sse_done(struct sse *s);
/* Take every whole line of `in`. False: it is not a stream of events, or a line is too long; nothing more can be taken then. */
bool sse_feed(struct sse *s, struct evbuffer *in, void (*on_event)(const struct sse_event *e, void *arg), void *arg);

#endif
