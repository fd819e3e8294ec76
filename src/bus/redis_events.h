/*
 * redis_events: events between processes, by Redis' publish and subscribe. Floor F4, loop thread only, never blocks. It stands
 * beside the transports because it is the bus's carrier; src/app makes it where REDIS_URL is set, and nothing of it is there else.
 *
 * What is published here goes to "lucid:events:DATABASE", what comes from there to bus_deliver_foreign. bus_carried() is true while
 * both directions work, which is tried once a second with a message to ourselves; each time it becomes true bus_gap("") says that
 * something may have been missed. Every few seconds a process says what it is and how far it has come ("lucid:beats:DATABASE"), so
 * that a last event that was lost is missed by the others too, and keeps "lucid:role:ROLE:ORIGIN" alive for whoever looks there.
 */
#ifndef BUS_REDIS_EVENTS_H
#define BUS_REDIS_EVENTS_H

#include "bus/transport.h"
#include "cache/redis_link.h"

#define REDIS_EVENT_MAX (64 * 1024) /* a longer message is not sent; the others see the gap */

struct redis_events;
struct redis_events_options {
	struct loop *loop;
	struct bus *bus;
	struct resolver *resolver;
	const struct redis_url *url;
	const char *node;
	const char *const *roles; /* names of those that live here, NULL-ended; borrowed */
};
/* It is the bus's carrier from here on. */
struct redis_events *redis_events_new(const struct redis_events_options *o);
/* Says good-bye where Redis is there. Before the bus; takes NULL. */
void redis_events_free(struct redis_events *r);

/* The connection for commands, for others to ask too. It lives as long as r. */
struct redis_link *redis_events_commands(struct redis_events *r);
/* NULL: no. The same as bus_carried. */
bool redis_events_up(const struct redis_events *r);
/* Why it is not up, a sentence without a subject. */
const char *redis_events_why(const struct redis_events *r);
/* Other processes that were heard of lately; dst gets them in words. */
size_t redis_events_others(const struct redis_events *r, char *dst, size_t size);

#endif
