#include "roles/rdp-resource-monitor/alert/webhook.h"

#include "lucid/clock.h"
#include "roles/rdp-resource-monitor/alert/attempt.h"
#include "roles/rdp-resource-monitor/alert/delivery.h"

#define IDLE_MS 30000 /* how often the queue is examined in any case: settings and the lease may have changed */

struct webhook {
	struct alerts *a;
	struct attempts *attempts;
	struct list queue; /* struct alert */
	size_t n;
	bool woken;
	struct loop_timer *timer; /* NULL: closed */
	struct metric *pending, *dropped;
};

json_t *webhook_delivery(struct webhook *w, int64_t now_ms)
{
	if (!*config_str(w->a->env.config, "ALERT_WEBHOOK_URL"))
		return NULL;
	if (w->n < WEBHOOK_QUEUE_MAX)
		return delivery_new(DELIVERY_PENDING, now_ms);
	log_error(SERVICE, "%d alerts wait for delivery to ALERT_WEBHOOK_URL; this one is not delivered", WEBHOOK_QUEUE_MAX);
	metric_add(w->dropped, 1);
	return delivery_new(DELIVERY_DROPPED, now_ms);
}

void webhook_forget(struct webhook *w, struct alert *a)
{
	a->due_ms = 0;
	if (!a->queued)
		return;
	list_remove(&a->node);
	a->queued = false;
	metric_set(w->pending, (double)--w->n);
}

void webhook_wake(struct webhook *w)
{
	w->woken = true;
	if (w->timer)
		loop_timer_set(w->timer, 0);
}

void webhook_consider(struct webhook *w, struct alert *a, const json_t *doc)
{
	enum delivery_event e;
	int64_t due_ms;
	if (!delivery_next(doc, &e, &due_ms)) {
		webhook_forget(w, a);
		return;
	}
	a->due_ms = MAX(due_ms, 1);
	if (a->queued)
		return;
	a->queued = true;
	list_append(&w->queue, &a->node);
	metric_set(w->pending, (double)++w->n);
	webhook_wake(w);
}

/* A time that no wait can lead to means that the clock was set back meanwhile. */
static int64_t wait_of(const struct alert *a, int64_t now_ms)
{
	int64_t wait = a->due_ms - now_ms;
	return wait > DELIVERY_MOST_MS ? 0 : MAX(wait, 0);
}

static void webhook_run(void *arg)
{
	struct webhook *w = arg;
	struct alert *a, *tmp;
	int64_t now = clock_wall_ms(), next = IDLE_MS;
	w->woken = false;
	if (!objects_draining(w->a->objects))
		loop_timer_set(w->timer, IDLE_MS);
	if (objects_draining(w->a->objects) || !objects_loaded(w->a->objects) || !alerts_lead(w->a) ||
	    !*config_str(w->a->env.config, "ALERT_WEBHOOK_URL"))
		return;
	LIST_FOREACH_SAFE(a, tmp, &w->queue, node) {
		int64_t wait = wait_of(a, now);
		if (a->busy)
			continue;
		if (wait)
			next = MIN(next, wait);
		else if (!attempt_begin(w->attempts, a))
			break; /* each that ends wakes us */
	}
	if (!w->woken)
		loop_timer_set(w->timer, next);
}

static void attempt_seen(struct alert *a, const json_t *doc, void *arg)
{
	webhook_consider(arg, a, doc);
}

static void attempt_ended(void *arg)
{
	webhook_wake(arg);
}

struct webhook *webhook_new(struct alerts *a)
{
	static const struct attempt_events events = { attempt_seen, attempt_ended };
	struct webhook *w = XNEW(struct webhook);
	struct metric_family *f = attempt_outcomes();
	*w = (struct webhook){ .a = a };
	list_init(&w->queue);
	w->timer = loop_timer_new(a->env.loop, webhook_run, w);
	w->attempts = attempts_new(a, WEBHOOK_AT_ONCE, &events, w);
	w->dropped = metric_with(f, "dropped");
	w->pending = metric_series(metric_family("rdp_alert_deliveries_pending", METRIC_GAUGE, NULL,
						 "Alerts with an event that is not delivered to ALERT_WEBHOOK_URL yet."), NULL);
	return w;
}

void webhook_close(struct webhook *w)
{
	attempts_close(w->attempts);
	loop_timer_free(w->timer);
	w->timer = NULL;
}

void webhook_free(struct webhook *w)
{
	attempts_free(w->attempts);
	free(w);
}
