/*
 * wire: one connection of hiredis on our loop, from connect to close. Floor F3, loop thread only, never blocks: it takes an address, not a
 * host name. The only user of hiredis. Writes are collected and sent at the end of the loop's turn.
 * Not for: timeouts, login, reconnecting (redis/link.h).
 */
#ifndef REDIS_WIRE_H
#define REDIS_WIRE_H

#include "lucid/loop.h"

#define REDIS_MAX_ITEMS 8 /* of a list; further items are dropped */
#define REDIS_MAX_REPLY (1 << 20)

enum redis_kind {
	REDIS_NOTHING, /* the connection was lost before the reply; the command may have been executed */
	REDIS_NIL,
	REDIS_NUMBER,
	REDIS_TEXT,
	REDIS_LIST,
	REDIS_FAULT, /* an error; text begins with its code: "NOSCRIPT …" */
};
struct redis_answer {
	enum redis_kind kind;
	int64_t number;
	const char *text; /* terminated; "" unless TEXT or FAULT */
	size_t len;
	const struct redis_answer *items;
	size_t n;
};
/* The answer is borrowed during the call. */
typedef void (*redis_done)(const struct redis_answer *a, void *arg);

struct wire;
struct wire_events {
	void (*connected)(void *arg);
	/* The connection is closed and the wire frees itself; afterwards pending commands are answered with REDIS_NOTHING. */
	void (*gone)(const char *why, void *arg);
	/* A message of a channel: ["message", channel, text], ["subscribe", channel, count], or REDIS_FAULT. */
	void (*message)(const struct redis_answer *a, void *arg);
};
/* Connects; port 0: to a Unix socket. NULL with a sentence in why[size] if that fails at once. Events come from the loop, not from within. */
struct wire *wire_dial(struct loop *l, const char *address, uint16_t port, const struct wire_events *events, void *arg, char *why,
		       size_t size);
/* Closes the connection without further events. Pending commands are answered with REDIS_NOTHING, from within this call or, inside an
 * event, at its end. The wire frees itself. */
void wire_drop(struct wire *w);
/* done is called exactly once, unless this returns false. */
bool wire_ask(struct wire *w, int argc, const char *const *argv, const size_t *lens, redis_done done, void *arg);
void wire_subscribe(struct wire *w, const char *channel);
void wire_flush(struct wire *w); /* send now, as far as the socket accepts it */

#endif
