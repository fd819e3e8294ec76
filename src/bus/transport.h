/*
 * transport: how a call leaves this process. Floor F4, loop thread only. A transport is a struct of functions; the router
 * picks one by the operation's role. It passes test/contract/bus_suite unchanged, whatever it is made of.
 */
#ifndef BUS_TRANSPORT_H
#define BUS_TRANSPORT_H

#include "lucid/bus.h"
#include "lucid/loop.h"

struct transport {
	const char *name; /* label of the metric: "local", "pair", "rest" */
	/* Take the call away and answer it exactly once with call_ok…, call_fail or call_answer; now or later. */
	void (*send)(struct transport *t, struct call *c);
	/* Nobody waits for this call any more (deadline, or the caller is gone). It must still be answered. */
	void (*cancel)(struct transport *t, struct call *c);
	/* Tell the other side of an event; NULL: this transport carries none. */
	void (*publish)(struct transport *t, const struct event *e);
};

struct bus *bus_new(struct loop *l);
void bus_free(struct bus *b); /* with no call under way; takes NULL */
/* Calls for this role go through t; NULL takes the route away. t outlives the bus. */
void bus_route(struct bus *b, const char *role, struct transport *t);
/* The node this process is on: calls to it go as calls to no node in particular. */
void bus_set_node(struct bus *b, const char *node);
/* Calls to the agent of another node go through t; NULL takes the route away. t outlives its route. */
void bus_route_node(struct bus *b, const char *node, struct transport *t);
/* Events of this process, its supervisor's among them, are also given to t. NULL: to nobody. */
void bus_carry_events(struct bus *b, struct transport *t);
/* An event of our own supervisor: from here on it is this process's. data is consumed. */
void bus_deliver(struct bus *b, const char *topic, const char *object_id, const char *user_id, int64_t time_ms, json_t *data);

enum bus_arrival {
	BUS_NEW,      /* delivered */
	BUS_REPEATED, /* known already, dropped: two feeds may bring the same */
	BUS_AFTER_GAP, /* delivered, behind a BUS_GAP: some before it are missing */
};
/* An event of another process: subscribers here hear it, it is not carried on. origin and seq are that process's (its own
 * origin is bus_origin there). The first one heard of an origin may have any seq. data is consumed. */
enum bus_arrival bus_deliver_foreign(struct bus *b, const struct event *e, json_t *data);
/* Events of that origin, or "" for whoever's, may have been missed. */
void bus_gap(struct bus *b, const char *origin);
/* That origin says that its latest event was seq: what was not heard of it by now was missed. Not for one whose events take
 * several ways at different speeds. */
void bus_reached(struct bus *b, const char *origin, uint64_t seq);
/* What this process is called in the events it carries to others. */
const char *bus_origin(struct bus *b);

/* The carrier's word (bus/redis_events.h): at this moment it brings this process the events of all others. False without one.
 * Who feeds events in some other way does so while it is false; what comes both ways at the change is told apart. */
bool bus_carried(struct bus *b);
/* One follower, told from the loop at each change; NULL fn: nobody. */
void bus_on_carried(struct bus *b, void (*fn)(bool carried, void *arg), void *arg);
void bus_set_carried(struct bus *b, bool carried); /* the carrier's alone */
/* Calls that nobody has answered yet. */
size_t bus_calls_open(const struct bus *b);

#endif
