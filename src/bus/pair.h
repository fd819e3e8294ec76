/*
 * pair: the bus over a socket pair, between the supervisor and the server. Floor F4, loop thread only, never blocks. Both
 * ends are alike: calls go either way and are served by what is bound on the other side; events published on one side are
 * heard on the other. When the other side goes, calls under way are ERR_UNCERTAIN. What comes in is checked as any call is.
 */
#ifndef BUS_PAIR_H
#define BUS_PAIR_H

#include "bus/transport.h"

struct pair;
struct pair_events {
	/* Words beside calls: "ready", "drain" … with a document or NULL (borrowed). */
	void (*on_word)(const char *word, const json_t *doc, void *arg);
	/* A finished log line of the other side. NULL: they are dropped. */
	void (*on_log)(const char *line, size_t len, void *arg);
	/* The other side is gone. May free the pair. */
	void (*on_closed)(void *arg);
};

struct pair *pair_new(struct loop *l, struct bus *b, int fd, const struct pair_events *events, void *arg);
/* Calls still under way are answered with ERR_UNCERTAIN; takes NULL. */
void pair_free(struct pair *p);
struct transport *pair_transport(struct pair *p);
void pair_word(struct pair *p, const char *word, const json_t *doc);
/* A word whose document holds a secret: no copy of it stays on either side, but for what on_word makes. */
void pair_word_secret(struct pair *p, const char *word, const json_t *doc);
/* False when it could not be taken. */
bool pair_log(struct pair *p, const char *line, size_t len);
void pair_flush(struct pair *p, int ms);

#endif
