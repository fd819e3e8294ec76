/*
 * pair: the bus over a socket pair, between the supervisor and the server. Floor F4, loop thread only, never blocks. Both ends work alike:
 * calls go in both directions, and events published at one end are delivered at the other. When the peer disconnects, calls in flight
 * fail with ERR_UNCERTAIN. Calls from the peer are checked like all others.
 */
#ifndef BUS_PAIR_H
#define BUS_PAIR_H

#include "bus/transport.h"

struct pair;
struct pair_events {
	/* A notification such as "ready" or "drain", with a document or NULL (borrowed). */
	void (*on_word)(const char *word, const json_t *doc, void *arg);
	/* A formatted log line of the peer. NULL: log lines are dropped. */
	void (*on_log)(const char *line, size_t len, void *arg);
	/* The peer has disconnected, or has violated the protocol (pair_fault). May free the pair. */
	void (*on_closed)(void *arg);
	/* A descriptor from the peer, with its purpose. The callee owns fd; -1: this process has no free descriptors. NULL: the peer must
	 * not pass descriptors, and a frame with one closes the pair. */
	void (*on_descriptor)(const char *what, int fd, void *arg);
	/* Limit on pending calls from the peer; further ones fail with ERR_BUSY. 0: BUS_MAX_CALLS. */
	size_t served_max;
};

struct pair *pair_new(struct loop *l, struct bus *b, int fd, const struct pair_events *events, void *arg);
/* Calls in flight fail with ERR_UNCERTAIN; takes NULL. */
void pair_free(struct pair *p);
struct transport *pair_transport(struct pair *p);
/* For on_closed: how the peer violated the protocol, a static text; NULL: it did not. */
const char *pair_fault(const struct pair *p);
/* Passes a descriptor, which the caller still owns. False: it could not be queued. */
bool pair_descriptor(struct pair *p, const char *what, int fd);
/* Sends a notification; see on_word. */
void pair_word(struct pair *p, const char *word, const json_t *doc);
/* A notification whose document contains a secret: no copy stays in memory at either end, except those that on_word makes. */
void pair_word_secret(struct pair *p, const char *word, const json_t *doc);
/* Sends a log line. False: it could not be queued. */
bool pair_log(struct pair *p, const char *line, size_t len);
void pair_flush(struct pair *p, int ms); /* see channel_flush */

#endif
