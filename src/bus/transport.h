/*
 * transport: carries calls to another process. Floor F4, loop thread only. A transport is a struct of functions; the router chooses one by
 * the operation's role. Every transport passes test/contract/bus_suite.h unchanged.
 */
#ifndef BUS_TRANSPORT_H
#define BUS_TRANSPORT_H

#include "lucid/bus.h"
#include "lucid/loop.h"

struct transport {
	const char *name; /* label of the metric: "local", "pair", "rest" */
	/* Sends the call, and answers it exactly once with call_ok…, call_fail or call_answer; immediately or later. */
	void (*send)(struct transport *t, struct call *c);
	/* The call was cancelled or has passed its deadline. It must still be answered. */
	void (*cancel)(struct transport *t, struct call *c);
	/* Sends an event to the peer; NULL: this transport does not carry events. */
	void (*publish)(struct transport *t, const struct event *e);
};

struct bus *bus_new(struct loop *l);
void bus_free(struct bus *b); /* only without calls in flight; takes NULL */
/* Routes calls of this role through t; NULL removes the route. t outlives the bus. */
void bus_route(struct bus *b, const char *role, struct transport *t);
/* The node of this process. Calls to it are routed like calls without a node. */
void bus_set_node(struct bus *b, const char *node);
/* Routes calls to the agent of another node through t; NULL removes the route. t outlives its route. */
void bus_route_node(struct bus *b, const char *node, struct transport *t);
/* Makes t the carrier: it gets the events of this process, including those of its supervisor. NULL: no carrier. */
void bus_carry_events(struct bus *b, struct transport *t);
/* Publishes an event of our own supervisor as an event of this process, with a number of its own. data is consumed. */
void bus_deliver(struct bus *b, const struct event *e, json_t *data);

enum bus_arrival {
	BUS_NEW,      /* delivered */
	BUS_REPEATED, /* dropped as a duplicate: two feeds may deliver the same event */
	BUS_AFTER_GAP, /* delivered after a BUS_GAP: earlier events are missing */
};
/* Delivers an event of another process to the subscribers of this one; the carrier does not get it. e->origin is the bus_origin of that
 * process, e->seq its sequence number; the first event of an origin may have any number. data is consumed. */
enum bus_arrival bus_deliver_foreign(struct bus *b, const struct event *e, json_t *data);
/* Publishes BUS_GAP: events of that origin, or of any with "", may have been missed. */
void bus_gap(struct bus *b, const char *origin);
/* The latest event of that origin has number seq: events up to it that were not received by now are missing. Only for origins whose events
 * arrive over one path, in order. */
void bus_reached(struct bus *b, const char *origin, uint64_t seq);
/* The origin in the events that this process sends to others. */
const char *bus_origin(struct bus *b);

/* True while the carrier (bus/redis_events.h) delivers the events of all other processes. Otherwise feeds (bus/feed.h) deliver them. During
 * a change both may; duplicates are dropped. */
bool bus_carried(struct bus *b);
/* Sets the function that is called from the loop at each change; NULL: none. */
void bus_on_carried(struct bus *b, void (*fn)(bool carried, void *arg), void *arg);
void bus_set_carried(struct bus *b, bool carried); /* for the carrier only */
/* The number of calls without an answer. */
size_t bus_calls_open(const struct bus *b);

#endif
