#include "bus/call.h"
#include "bus/ring.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define MAX_QUEUED 4096 /* beyond it, new events are dropped and logged */
#define MAX_ORIGINS 256 /* other processes whose sequence numbers are tracked */
#define ORIGIN_SIZE 17

struct subscription {
	struct list node;
	char *pattern;
	event_handler fn;
	void *ctx;
	bool dead; /* unsubscribed during the delivery of events */
};

struct queued {
	struct list node;
	struct event e;
	char *topic, *object_id, *user_id, *viewer_id, *origin;
	bool ours; /* of this process: the carrier sends it to others */
};

struct origin {
	struct list node;
	uint64_t seq; /* of the latest event received */
	bool heard;   /* false: no event was received yet, and the first one may have any number */
	char name[ORIGIN_SIZE];
};

struct bus_events {
	struct loop *loop;
	struct list subscriptions, queue;
	size_t nqueued;
	struct loop_task task;
	struct transport *carrier;
	int64_t start_ms;
	uint64_t number, own_seq;
	char origin[ORIGIN_SIZE];
	struct list origins; /* most recently used first */
	size_t norigins;
	bool carried;
	void (*on_carried)(bool carried, void *arg);
	void *carried_arg;
};

static void queued_free(struct queued *q)
{
	json_decref(q->e.data);
	free(q->topic);
	free(q->object_id);
	free(q->user_id);
	free(q->viewer_id);
	free(q->origin);
	free(q);
}

static void subscription_free(struct subscription *s)
{
	list_remove(&s->node);
	free(s->pattern);
	free(s);
}

static void give_out(struct bus_events *ev, const struct queued *q)
{
	struct subscription *s, *tmp;
	LIST_FOREACH(s, &ev->subscriptions, node)
		if (!s->dead && str_match(s->pattern, q->e.topic))
			s->fn(&q->e, s->ctx);
	LIST_FOREACH_SAFE(s, tmp, &ev->subscriptions, node)
		if (s->dead)
			subscription_free(s);
	if (q->ours && ev->carrier && ev->carrier->publish)
		ev->carrier->publish(ev->carrier, &q->e);
}

static void on_turn_end(struct loop_task *t)
{
	struct bus_events *ev = CONTAINER_OF(t, struct bus_events, task);
	struct list *n;
	/* events published by handlers wait for the next turn */
	for (size_t left = ev->nqueued; left && (n = list_take_first(&ev->queue)); left--) {
		struct queued *q = CONTAINER_OF(n, struct queued, node);
		ev->nqueued--;
		give_out(ev, q);
		queued_free(q);
	}
	if (ev->nqueued)
		loop_defer(ev->loop, &ev->task);
}

static void write_id(const struct bus_events *ev, char ret[sizeof((struct event *)0)->id])
{
	snprintf(ret, sizeof((struct event *)0)->id, "%llx-%llu", (unsigned long long)ev->start_ms & 0xfffffffffff,
		 (unsigned long long)(ev->number % 10000000000));
}

void bus_last_event_id(struct bus *b, char ret[sizeof((struct event *)0)->id])
{
	write_id(bus_events_of(b), ret);
}

/* Copies the strings of e, consumes data. */
static void event_enqueue(struct bus_events *ev, const struct event *e, json_t *data, bool ours)
{
	if (ev->nqueued >= MAX_QUEUED) {
		log_warn("bus", "event %s dropped: the queue is full (%d events)", e->topic, MAX_QUEUED);
		ev->own_seq += ours; /* other processes notice the gap */
		json_decref(data);
		return;
	}
	struct queued *q = XNEW(struct queued);
	q->topic = xstrdup(e->topic);
	q->object_id = xstrdup(e->object_id ? e->object_id : "");
	q->user_id = xstrdup(e->user_id ? e->user_id : "");
	q->viewer_id = xstrdup(e->viewer_id ? e->viewer_id : "");
	q->origin = xstrdup(e->origin ? e->origin : "");
	q->ours = ours;
	q->e = (struct event){ .topic = q->topic, .time_ms = e->time_ms, .object_id = q->object_id, .user_id = q->user_id,
			       .viewer_id = q->viewer_id, .origin = q->origin, .seq = ours ? ++ev->own_seq : e->seq, .data = data ? data : json_object() };
	ev->number++;
	write_id(ev, q->e.id);
	list_append(&ev->queue, &q->node);
	ev->nqueued++;
	loop_defer(ev->loop, &ev->task);
}

void bus_publish(struct bus *b, const char *topic, const char *object_id, const char *user_id, json_t *data)
{
	bus_publish_viewed(b, topic, object_id, user_id, "", data);
}

void bus_publish_viewed(struct bus *b, const char *topic, const char *object_id, const char *user_id, const char *viewer_id, json_t *data)
{
	struct event e = { .topic = topic, .object_id = object_id, .user_id = user_id, .viewer_id = viewer_id, .time_ms = clock_wall_ms() };
	bus_deliver(b, &e, data);
}

void bus_deliver(struct bus *b, const struct event *e, json_t *data)
{
	event_enqueue(bus_events_of(b), e, data, true);
}

/* --- events of other processes */

void bus_gap(struct bus *b, const char *origin)
{
	struct event e = { .topic = BUS_GAP, .object_id = origin, .time_ms = clock_wall_ms() };
	event_enqueue(bus_events_of(b), &e, NULL, false);
}

/* The entry of an origin. A new one replaces the least recently used entry if there are MAX_ORIGINS. */
static struct origin *origin_of(struct bus_events *ev, const char *name)
{
	struct origin *o;
	LIST_FOREACH(o, &ev->origins, node)
		if (str_eq(o->name, name)) {
			list_remove(&o->node);
			list_prepend(&ev->origins, &o->node);
			return o;
		}
	if (ev->norigins >= MAX_ORIGINS) {
		o = CONTAINER_OF(ev->origins.prev, struct origin, node);
		list_remove(&o->node);
	} else {
		o = XNEW(struct origin);
		ev->norigins++;
	}
	o->seq = 0;
	o->heard = false;
	snprintf(o->name, sizeof o->name, "%s", name);
	list_prepend(&ev->origins, &o->node);
	return o;
}

enum bus_arrival bus_deliver_foreign(struct bus *b, const struct event *e, json_t *data)
{
	struct bus_events *ev = bus_events_of(b);
	struct origin *o = str_eq(e->origin, ev->origin) ? NULL : origin_of(ev, e->origin);
	if (!o || e->seq <= o->seq) { /* our own event, or a repeated one */
		json_decref(data);
		return BUS_REPEATED;
	}
	enum bus_arrival how = o->heard && e->seq > o->seq + 1 ? BUS_AFTER_GAP : BUS_NEW;
	if (how == BUS_AFTER_GAP)
		bus_gap(b, e->origin);
	o->seq = e->seq;
	o->heard = true;
	event_enqueue(ev, e, data, false);
	return how;
}

void bus_reached(struct bus *b, const char *origin, uint64_t seq)
{
	struct bus_events *ev = bus_events_of(b);
	if (str_eq(origin, ev->origin))
		return;
	struct origin *o = origin_of(ev, origin);
	if (o->heard && seq > o->seq)
		bus_gap(b, origin);
	o->seq = MAX(o->seq, seq);
	o->heard = true;
}

bool bus_carried(struct bus *b)
{
	return bus_events_of(b)->carried;
}

void bus_set_carried(struct bus *b, bool carried)
{
	struct bus_events *ev = bus_events_of(b);
	if (ev->carried == carried)
		return;
	ev->carried = carried;
	if (ev->on_carried)
		ev->on_carried(carried, ev->carried_arg);
}

void bus_on_carried(struct bus *b, void (*fn)(bool carried, void *arg), void *arg)
{
	bus_events_of(b)->on_carried = fn;
	bus_events_of(b)->carried_arg = arg;
}

const char *bus_origin(struct bus *b)
{
	return bus_events_of(b)->origin;
}

void bus_carry_events(struct bus *b, struct transport *t)
{
	bus_events_of(b)->carrier = t;
}

struct subscription *bus_subscribe(struct bus *b, const char *pattern, event_handler fn, void *ctx)
{
	struct subscription *s = XNEW(struct subscription);
	s->pattern = xstrdup(pattern);
	s->fn = fn;
	s->ctx = ctx;
	list_append(&bus_events_of(b)->subscriptions, &s->node);
	return s;
}

void bus_unsubscribe(struct subscription *s)
{
	/* freed after the next event: the delivery of an event may be in progress */
	if (s)
		s->dead = true;
}

struct bus_events *bus_events_new(struct loop *l)
{
	struct bus_events *ev = XNEW(struct bus_events);
	ev->loop = l;
	list_init(&ev->subscriptions);
	list_init(&ev->queue);
	list_init(&ev->origins);
	id_hex(ev->origin, sizeof ev->origin / 2);
	loop_task_init(&ev->task, on_turn_end);
	ev->start_ms = clock_wall_ms();
	return ev;
}

void bus_events_free(struct bus_events *ev)
{
	struct subscription *s, *stmp;
	struct queued *q, *qtmp;
	struct origin *o, *otmp;
	loop_undefer(&ev->task);
	LIST_FOREACH_SAFE(q, qtmp, &ev->queue, node)
		queued_free(q);
	LIST_FOREACH_SAFE(s, stmp, &ev->subscriptions, node)
		subscription_free(s);
	LIST_FOREACH_SAFE(o, otmp, &ev->origins, node)
		free(o);
	free(ev);
}
