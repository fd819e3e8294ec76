#include "api/health.h"

#include <stdio.h>

#include "api/answer/error.h"
#include "api/answer/reply.h"
#include "api/request.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "sys/watchdog.h"

/* Readiness: one round of all checks at a time, in parallel. Requests that arrive meanwhile wait for the same round; those within a
 * second of its end get its result. A check that times out is unhealthy, and is not started again before it has answered. */
#define ROUND_MS 5000
#define SHARED_MS 1000
#define CHECKS 16
#define WAITERS 256

struct check {
	struct health *health; /* NULL: freed; on_checked frees the check */
	const char *name;
	bool essential, asked, answered; /* asked: it has not answered yet; answered: in this round */
	api_check check;
	void *arg;
	int64_t asked_us;
	enum api_health state;
	int64_t took_us;
	char message[400];
};

struct health {
	struct check *checks[CHECKS];
	size_t n, open; /* open: checks that the round waits for */
	bool running, starting;
	struct loop_timer *bound;
	const struct config *config;
	struct request *waiters[WAITERS];
	size_t nwaiters;
	struct blob *page; /* of the last round */
	int status;
	int64_t until_ms;
};

static void end_round(struct health *h);

static void on_bound(void *arg)
{
	struct health *h = arg;
	for (size_t i = 0; i < h->n; i++) {
		struct check *c = h->checks[i];
		if (c->answered)
			continue;
		c->state = API_UNHEALTHY;
		c->took_us = (int64_t)ROUND_MS * 1000;
		str_copy(c->message, sizeof c->message, "no answer within 5 s");
	}
	end_round(h);
}

struct health *health_new(struct loop *l)
{
	struct health *h = XNEW(struct health);
	h->bound = loop_timer_new(l, on_bound, h);
	return h;
}

void health_reload(struct health *h, const struct config *c)
{
	h->config = c;
	h->until_ms = 0;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->nwaiters; i++)
		reply_error_text(h->waiters[i], ERR_UNAVAILABLE, "the service is shutting down");
	for (size_t i = 0; i < h->n; i++) {
		if (h->checks[i]->asked)
			h->checks[i]->health = NULL; /* freed with its late answer */
		else
			free(h->checks[i]);
	}
	loop_timer_free(h->bound);
	blob_unref(h->page);
	free(h);
}

void health_add(struct health *h, const char *name, bool essential, api_check check, void *arg)
{
	if (h->n == CHECKS)
		abort(); /* the number of checks is fixed in the program */
	struct check *c = h->checks[h->n++] = XNEW(struct check);
	c->health = h;
	c->name = name;
	c->essential = essential;
	c->check = check;
	c->arg = arg;
}

static const char *state_name(enum api_health state)
{
	static const char *const names[] = {
		[API_HEALTHY] = "healthy", [API_UNHEALTHY] = "unhealthy", [API_DISABLED] = "disabled"
	};
	return names[state];
}

static void make_page(struct health *h)
{
	bool ready = true, degraded = false;
	json_t *checks = json_object();
	for (size_t i = 0; i < h->n; i++) {
		const struct check *c = h->checks[i];
		json_t *row = json_object();
		doc_set_str(row, "status", state_name(c->state));
		doc_set_str(row, "message", c->message);
		doc_set(row, "latency_ms", json_real((double)c->took_us / 1000));
		doc_set(checks, c->name, row);
		ready &= c->state != API_UNHEALTHY || !c->essential;
		degraded |= c->state == API_UNHEALTHY;
	}
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	doc_set_bool(doc, "ready", ready);
	doc_set_bool(doc, "degraded", degraded);
	doc_set(doc, "checks", checks);
	doc_set_time(doc, "timestamp", clock_wall_ms());
	static const struct {
		const char *member, *option;
	} links[] = { { "auth_service_url", "AUTH_SERVICE_URL" }, { "api_gateway_url", "API_GATEWAY_URL" } };
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		const char *url = config_str(h->config, links[i].option);
		if (*url)
			doc_set_str(doc, links[i].member, url);
	}
	blob_unref(h->page);
	h->page = doc_blob(doc);
	h->status = ready ? 200 : 503;
	h->until_ms = clock_mono_ms() + SHARED_MS;
}

static void end_round(struct health *h)
{
	h->running = false;
	loop_timer_clear(h->bound);
	make_page(h);
	size_t n = h->nwaiters;
	h->nwaiters = 0;
	for (size_t i = 0; i < n; i++)
		reply_blob(h->waiters[i], h->status, REPLY_JSON, h->page);
}

static void on_checked(void *token, enum api_health state, const char *message)
{
	struct check *c = token;
	struct health *h = c->health;
	c->asked = false;
	if (!h) {
		free(c);
		return;
	}
	c->state = state;
	c->took_us = clock_mono_us() - c->asked_us;
	/* readiness is public, so its messages must not contain paths; the log has them */
	struct strbuf told = { 0 };
	strbuf_without_paths(&told, message ? message : "");
	snprintf(c->message, sizeof c->message, "%s", told.s ? told.s : "");
	strbuf_done(&told);
	if (c->answered || !h->running)
		return; /* late: its round has ended */
	c->answered = true;
	if (--h->open == 0 && !h->starting)
		end_round(h);
}

static void begin_round(struct health *h)
{
	h->running = h->starting = true;
	h->open = h->n;
	loop_timer_set(h->bound, ROUND_MS);
	for (size_t i = 0; i < h->n; i++)
		h->checks[i]->answered = false;
	for (size_t i = 0; i < h->n; i++) {
		struct check *c = h->checks[i];
		if (c->asked)
			continue;
		c->asked = true;
		c->asked_us = clock_mono_us();
		c->check(c->arg, on_checked, c);
	}
	h->starting = false;
	if (!h->open)
		end_round(h);
}

void health_ready_page(struct request *q)
{
	struct health *h = q->api->health;
	if (!h->running && h->page && clock_mono_ms() < h->until_ms) {
		reply_blob(q, h->status, REPLY_JSON, h->page);
		return;
	}
	if (h->nwaiters == WAITERS) {
		reply_error_text(q, ERR_BUSY, NULL);
		return;
	}
	h->waiters[h->nwaiters++] = q;
	if (!h->running)
		begin_round(h);
}

/* --- pages without checks */

static void reply_doc(struct request *q, int status, json_t *consume)
{
	struct blob *b = doc_blob(consume);
	json_decref(consume);
	reply_blob(q, status, REPLY_JSON, b);
	blob_unref(b);
}

void health_page(struct request *q)
{
	json_t *doc = json_object(), *roles = json_array();
	for (const struct role *const *r = q->api->env.roles; *r; r++)
		json_array_append_new(roles, json_string((*r)->name));
	doc_set_str(doc, "status", "healthy");
	doc_set_str(doc, "service", q->listener->service);
	doc_set_str(doc, "version", LUCID_VERSION);
	doc_set(doc, "roles", roles);
	doc_set_time(doc, "timestamp", clock_wall_ms());
	reply_doc(q, 200, doc);
}

/* The loop runs, since it handles this request. 503: it stalled while the request waited, and has not caught up yet. */
void health_live_page(struct request *q)
{
	json_t *doc = json_object();
	int64_t late_ms = watchdog_late_ms();
	bool stuck = late_ms > WATCHDOG_STUCK_MS;
	doc_set_bool(doc, "alive", !stuck);
	if (stuck)
		doc_set_int(doc, "late_ms", late_ms);
	doc_set_time(doc, "timestamp", clock_wall_ms());
	doc_set_int(doc, "uptime_seconds", (clock_mono_us() - q->api->started_us) / 1000000);
	reply_doc(q, stuck ? 503 : 200, doc);
}

void root_page(struct request *q)
{
	json_t *doc = json_object();
	doc_set_str(doc, "service", q->listener->service);
	doc_set_str(doc, "status", "running");
	doc_set_str(doc, "version", LUCID_VERSION);
	reply_doc(q, 200, doc);
}
