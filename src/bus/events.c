#include "bus/call.h"
#include "bus/ring.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define MAX_QUEUED 4096 /* past that the newest are dropped, with a line */

struct subscription {
	struct list node;
	char *pattern;
	event_handler fn;
	void *ctx;
	bool dead; /* unsubscribed while events are given out */
};

struct queued {
	struct list node;
	struct event e;
	char *topic, *object_id, *user_id;
	bool carried; /* it came from elsewhere */
};

struct bus_events {
	struct loop *loop;
	struct list subscriptions, queue;
	size_t nqueued;
	struct loop_task task;
	struct transport *carrier;
	int64_t start_ms;
	uint64_t number;
};

static void queued_free(struct queued *q)
{
	json_decref(q->e.data);
	free(q->topic);
	free(q->object_id);
	free(q->user_id);
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
	if (!q->carried && ev->carrier && ev->carrier->publish)
		ev->carrier->publish(ev->carrier, &q->e);
}

static void on_turn_end(struct loop_task *t)
{
	struct bus_events *ev = CONTAINER_OF(t, struct bus_events, task);
	struct list *n;
	/* those published meanwhile wait for the next turn */
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

static void enqueue(struct bus_events *ev, const char *topic, const char *object_id, const char *user_id, int64_t time_ms,
		    json_t *data, bool carried)
{
	if (ev->nqueued >= MAX_QUEUED) {
		log_warn("bus", "event %s dropped: %d are queued", topic, MAX_QUEUED);
		json_decref(data);
		return;
	}
	struct queued *q = XNEW(struct queued);
	q->topic = xstrdup(topic);
	q->object_id = xstrdup(object_id ? object_id : "");
	q->user_id = xstrdup(user_id ? user_id : "");
	q->carried = carried;
	q->e = (struct event){ .topic = q->topic, .time_ms = time_ms, .object_id = q->object_id, .user_id = q->user_id,
			       .data = data ? data : json_object() };
	ev->number++;
	write_id(ev, q->e.id);
	list_append(&ev->queue, &q->node);
	ev->nqueued++;
	loop_defer(ev->loop, &ev->task);
}

void bus_publish(struct bus *b, const char *topic, const char *object_id, const char *user_id, json_t *data)
{
	enqueue(bus_events_of(b), topic, object_id, user_id, clock_wall_ms(), data, false);
}

void bus_deliver(struct bus *b, const char *topic, const char *object_id, const char *user_id, int64_t time_ms, json_t *data)
{
	enqueue(bus_events_of(b), topic, object_id, user_id, time_ms, data, true);
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
	/* freed with the next event: an event may be on its way to it at this moment */
	if (s)
		s->dead = true;
}

struct bus_events *bus_events_new(struct loop *l)
{
	struct bus_events *ev = XNEW(struct bus_events);
	ev->loop = l;
	list_init(&ev->subscriptions);
	list_init(&ev->queue);
	loop_task_init(&ev->task, on_turn_end);
	ev->start_ms = clock_wall_ms();
	return ev;
}

void bus_events_free(struct bus_events *ev)
{
	struct subscription *s, *stmp;
	struct queued *q, *qtmp;
	loop_undefer(&ev->task);
	LIST_FOREACH_SAFE(q, qtmp, &ev->queue, node)
		queued_free(q);
	LIST_FOREACH_SAFE(s, stmp, &ev->subscriptions, node)
		subscription_free(s);
	free(ev);
}
