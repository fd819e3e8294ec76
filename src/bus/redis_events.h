/*
 * redis_events: carries events between processes through Redis publish/subscribe. Floor F4, loop thread only, never blocks. It is the bus's
 * carrier (transport.h). src/app creates it if REDIS_URL is set.
 *
 * Events of this process are published in the channel "lucid:events:DATABASE"; received ones go to bus_deliver_foreign. Once a second the
 * process publishes a probe to itself, which checks both directions. bus_carried() is true while the probes come back. Each time it becomes
 * true, bus_gap("") reports that events may have been missed. Every few seconds a heartbeat in "lucid:beats:DATABASE" announces the process
 * and the sequence number of its latest event, so that others notice if that event was lost. The key "lucid:role:ROLE:ORIGIN", for
 * operators, exists while the process sends heartbeats.
 */
#ifndef BUS_REDIS_EVENTS_H
#define BUS_REDIS_EVENTS_H

#include "bus/transport.h"
#include "redis/link.h"

#define REDIS_EVENT_MAX (64 * 1024) /* longer events are dropped; other processes notice the gap */

struct redis_events;
struct redis_events_options {
	struct loop *loop;
	struct bus *bus;
	struct resolver *resolver;
	const struct redis_url *url;
	const char *node;
	const char *const *roles; /* names of the roles in this process, NULL-ended; borrowed */
};
/* Becomes the bus's carrier. */
struct redis_events *redis_events_new(const struct redis_events_options *o);
/* Announces the disconnection if Redis is reachable. Call it before bus_free; takes NULL. */
void redis_events_free(struct redis_events *r);

/* The connection for commands, which others may use too. Valid as long as r. */
struct redis_link *redis_events_commands(struct redis_events *r);
/* The same as bus_carried; false if r is NULL. */
bool redis_events_up(const struct redis_events *r);
/* Why it is not up; a sentence without its subject. */
const char *redis_events_why(const struct redis_events *r);
/* The number of other processes whose heartbeats arrive through Redis. Writes a text with their names to dst. */
size_t redis_events_others(const struct redis_events *r, char *dst, size_t size);

#endif
