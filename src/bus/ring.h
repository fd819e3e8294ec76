/*
 * ring: the latest events, as they were sent, for who was away for a moment. Floor F4, loop thread only, never blocks. Bounded
 * in number and bytes; the oldest go first. Not for: who may hear what (src/api/events.c).
 */
#ifndef BUS_RING_H
#define BUS_RING_H

#include "lucid/bus.h"

#define RING_EVENTS 1024
#define RING_BYTES (1 << 20)

/* The id of the event that was numbered last; before the first one its number is 0. */
void bus_last_event_id(struct bus *b, char ret[sizeof((struct event *)0)->id]);

struct ring_event {
	uint64_t number;
	char id[sizeof((struct event *)0)->id];
	uint64_t seq;
	char *topic, *user_id, *origin; /* origin and seq as the event's */
	struct blob *text;
};

struct ring;
/* Keeps what comes after the event last_id. */
struct ring *ring_new(const char *last_id);
void ring_free(struct ring *r); /* takes NULL */
/* Ascending ids of one process. text is referenced. */
void ring_add(struct ring *r, const struct event *e, struct blob *text);
size_t ring_count(const struct ring *r);
const struct ring_event *ring_at(const struct ring *r, size_t i); /* 0: the oldest */

enum ring_place {
	RING_KNOWN,   /* everything after it is here */
	RING_TOO_OLD, /* some of what came after it is gone */
	RING_FOREIGN, /* not an id of this process */
};
/* ret_next: the first event after it, ring_count for none; for those that are not known the oldest there is. */
enum ring_place ring_find(const struct ring *r, const char *id, size_t *ret_next);
/* The id before the oldest, and of the newest that was added: whoever resumes there gets all, or nothing. */
void ring_first_id(const struct ring *r, char ret[sizeof((struct event *)0)->id]);
const char *ring_last_id(const struct ring *r);

#endif
