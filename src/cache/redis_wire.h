/*
 * redis_wire: one connection of hiredis on our loop, from its dialling to its end. Floor F3, loop thread only, never blocks: the
 * address is one already. The only user of hiredis. Reads come as they come, writes are gathered for the end of the loop's turn.
 * Not for: time-outs, logging in, coming back (redis_link.h).
 */
#ifndef CACHE_REDIS_WIRE_H
#define CACHE_REDIS_WIRE_H

#include "lucid/loop.h"

#define REDIS_MAX_ITEMS 8 /* of a list that is looked at; a longer one is cut */
#define REDIS_MAX_REPLY (1 << 20)

enum redis_kind {
	REDIS_NOTHING, /* the connection went before the answer came; it may have been done */
	REDIS_NIL,
	REDIS_NUMBER,
	REDIS_TEXT,
	REDIS_LIST,
	REDIS_FAULT, /* text says what, beginning with its code: "NOSCRIPT …" */
};
struct redis_answer {
	enum redis_kind kind;
	int64_t number;
	const char *text; /* terminated; "" unless TEXT or FAULT */
	size_t len;
	const struct redis_answer *items;
	size_t n;
};
/* Borrowed for the length of the call. */
typedef void (*redis_done)(const struct redis_answer *a, void *arg);

struct wire;
struct wire_events {
	void (*connected)(void *arg);
	/* It is of no use any more, and frees itself; answers that are owed come after this, as REDIS_NOTHING. */
	void (*gone)(const char *why, void *arg);
	/* What comes to channels: ["message", channel, text], ["subscribe", channel, count], or REDIS_FAULT. */
	void (*message)(const struct redis_answer *a, void *arg);
};
/* To a Unix socket where `port` is 0. NULL, with why[size] saying why, when it cannot even begin. No event comes from within. */
struct wire *wire_dial(struct loop *l, const char *address, uint16_t port, const struct wire_events *events, void *arg, char *why,
		       size_t size);
/* No event comes any more; answers that are owed come from within, as REDIS_NOTHING, or at the end of the event we are in. The
 * wire frees itself. */
void wire_drop(struct wire *w);
/* done comes exactly once, unless false is returned. */
bool wire_ask(struct wire *w, int argc, const char *const *argv, const size_t *lens, redis_done done, void *arg);
void wire_subscribe(struct wire *w, const char *channel);
void wire_flush(struct wire *w); /* send now what the socket takes */

#endif
