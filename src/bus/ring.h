/*
 * ring: the latest events as they were sent, for clients that reconnect. Floor F4, loop thread only, never blocks. Bounded in number and
 * bytes; the oldest are dropped first. Not for: which client may receive which event (src/api/events/events.c).
 */
#ifndef BUS_RING_H
#define BUS_RING_H

#include "lucid/bus.h"

#define RING_EVENTS 1024
#define RING_BYTES (1 << 20)

/* The id of the latest event; before the first one, its number is 0. */
void bus_last_event_id(struct bus *b, char ret[sizeof((struct event *)0)->id]);

struct ring_event {
	uint64_t number;
	char id[sizeof((struct event *)0)->id];
	uint64_t seq;
	char *topic, *user_id, *viewer_id, *origin; /* as in struct event */
	struct blob *text;
};

struct ring;
/* Keeps the events after last_id. */
struct ring *ring_new(const char *last_id);
void ring_free(struct ring *r); /* takes NULL */
/* The ids must ascend and be of this process. Takes a reference to text. */
void ring_add(struct ring *r, const struct event *e, struct blob *text);
size_t ring_count(const struct ring *r);
const struct ring_event *ring_at(const struct ring *r, size_t i); /* 0: the oldest */

enum ring_place {
	RING_KNOWN,   /* all events after it are in the ring */
	RING_TOO_OLD, /* some events after it were dropped */
	RING_FOREIGN, /* not an id of this process */
};
/* Finds an event. ret_next: index of the first event after it (ring_count if none); if it is not known, of the oldest one. */
enum ring_place ring_find(const struct ring *r, const char *id, size_t *ret_next);
/* The id before the oldest event: a client that resumes there gets all events of the ring. */
void ring_first_id(const struct ring *r, char ret[sizeof((struct event *)0)->id]);
/* The id of the latest event: a client that resumes there gets only later ones. */
const char *ring_last_id(const struct ring *r);

#endif
