#include "bus/rest.h"

#include <stdio.h>

#include "bus/acting.h"
#include "bus/breaker.h"
#include "bus/call.h"
#include "bus/rest_answer.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "lucid/str.h"

#define HEADERS_MAX 9
#define TIMEOUT_SLACK_MS 1000
#define TRIES 3
#define TRY_FIRST_MS 50
#define TRY_MOST_MS 500

enum outcome { ANSWERED, UNAVAILABLE, UNCERTAIN, REFUSED, DEADLINE, CANCELLED, OUTCOMES };
static const char *const outcomes[OUTCOMES] = { "answered", "unavailable", "uncertain", "refused", "deadline", "cancelled" };

struct rest {
	struct transport transport;
	struct loop *loop;
	struct http_client *client;
	struct service_token *token;
	char *url;
	struct list asked;
	struct breaker breaker;
	int64_t answered_ms; /* the latest answer */
	char why[160];	     /* the latest failure */
	struct metric *counts[OUTCOMES], *retries, *state;
};

struct asked {
	struct list node;
	struct rest *rest;
	struct call *call;
	struct http_call *http; /* NULL: waits for the next attempt */
	struct loop_timer *again;
	struct backoff wait;
	int64_t sent_ms;
	unsigned tries;
	bool uncertain; /* an attempt may have been performed */
};

static void call_attempt(struct asked *a);

/* --- the request */

static char *make_url(const struct rest *r, const struct call *c)
{
	struct strbuf b = { 0 };
	size_t param = 0;
	strbuf_puts(&b, r->url);
	for (const char *p = c->op->path; *p; p++) {
		if (*p != '{') {
			strbuf_putc(&b, *p);
			continue;
		}
		strbuf_percent(&b, c->params[param++]);
		p = strchr(p, '}');
	}
	_cleanup_(xfreep) char *query = c->query ? shape_to_query(c->query) : xstrdup("");
	if (*query)
		strbuf_printf(&b, "?%s", query);
	return strbuf_take(&b);
}

static enum http_method method_of(const struct op *op)
{
	for (int m = HTTP_GET; m < HTTP_OTHER; m++)
		if (str_eq(http_method_name((enum http_method)m), op->verb))
			return (enum http_method)m;
	abort(); /* the row has an invalid verb */
}

static void on_result(const struct http_result *res, void *arg);

/* Returns as http_client_ask. */
static int send_it(struct asked *a, const char **ret_why)
{
	struct rest *r = a->rest;
	struct call *c = a->call;
	char hops[16], left[24], match[32], seal[TOKEN_SEAL_SIZE];
	_cleanup_(xfreep) char *url = make_url(r, c), *acting = acting_text(&c->caller), *body = NULL;
	body = c->body ? doc_text(c->body) : NULL;
	snprintf(hops, sizeof hops, "%u", c->hops + 1);
	snprintf(left, sizeof left, "%lld", (long long)MAX(call_time_left_ms(c), 1));
	snprintf(match, sizeof match, "\"%lld\"", (long long)c->if_match);
	struct http_header headers[HEADERS_MAX] = { { "Authorization", service_token_get(r->token) }, { REST_HOPS_HEADER, hops },
						    { REST_TIME_HEADER, left } };
	size_t n = 3;
	if (acting) {
		service_token_seal(r->token, acting, seal);
		headers[n++] = (struct http_header){ ACTING_HEADER, acting };
		headers[n++] = (struct http_header){ ACTING_SEAL_HEADER, seal };
	}
	if (c->request_id[0])
		headers[n++] = (struct http_header){ "X-Request-ID", c->request_id };
	if (c->trace[0])
		headers[n++] = (struct http_header){ "traceparent", c->trace };
	if (c->if_match)
		headers[n++] = (struct http_header){ "If-Match", match };
	if (body)
		headers[n++] = (struct http_header){ "Content-Type", "application/json" };
	/* slightly longer than the deadline of the call, so that the deadline ends the call */
	int64_t timeout_ms = call_time_left_ms(c) + TIMEOUT_SLACK_MS;
	struct http_ask ask = { .method = method_of(c->op), .url = url, .headers = headers, .n_headers = n, .body = body,
				.body_len = body ? strlen(body) : 0, .timeout_ms = timeout_ms, .max_body = REST_ANSWER_MAX,
				.streams = op_streams(c->op, call_query(c)) };
	a->sent_ms = clock_mono_ms();
	return http_client_ask(r->client, &ask, on_result, a, ret_why, &a->http);
}

/* --- health of the peer */

static void show_state(struct rest *r)
{
	static const double shown[] = { [BREAKER_CLOSED] = 0, [BREAKER_HALF_OPEN] = 1, [BREAKER_OPEN] = 2 };
	metric_set(r->state, shown[r->breaker.state]);
}

void rest_heard(struct rest *r)
{
	r->answered_ms = clock_mono_ms();
	if (breaker_good(&r->breaker))
		log_info("bus", "%s answers again", r->url);
	show_state(r);
}

static void note_silence(struct rest *r, const char *why)
{
	snprintf(r->why, sizeof r->why, "%s", why);
	if (breaker_bad(&r->breaker, clock_mono_ms()))
		log_warn("bus", "%s did not answer %d calls in a row (%s); calls to it fail immediately until it answers again", r->url,
			 BREAKER_FAILURES, why);
	show_state(r);
}

/* --- the end of a call */

/* Frees a. Returns its call, which the caller must answer. */
static struct call *asked_end(struct asked *a, enum outcome o)
{
	struct call *c = a->call;
	metric_add(a->rest->counts[o], 1);
	c->remote = 0;
	list_remove(&a->node);
	loop_timer_free(a->again);
	free(a);
	return c;
}

static void fail_lost(struct asked *a, const char *why)
{
	char text[160]; /* a copy: why may point into the connection or r */
	snprintf(text, sizeof text, "%s", why);
	/* a read has no effect, so its outcome is never uncertain */
	bool uncertain = a->uncertain && !(a->call->op->flags & OP_READ);
	struct call *c = asked_end(a, a->uncertain ? UNCERTAIN : UNAVAILABLE);
	if (uncertain)
		call_fail(c, ERR_UNCERTAIN, "the connection to the role %s was lost (%s) after the request was sent; read the object's state before retrying",
			  c->op->role, text);
	else
		call_fail(c, ERR_UNAVAILABLE, "the role %s is unreachable: %s", c->op->role, text);
}

static void fail_at_once(struct asked *a)
{
	struct rest *r = a->rest;
	if (a->uncertain) {
		fail_lost(a, r->why);
		return;
	}
	unsigned wait_s = (unsigned)(breaker_wait_ms(&r->breaker, clock_mono_ms()) + 999) / 1000;
	struct call *c = asked_end(a, REFUSED);
	_cleanup_(xfreep) char *message = xasprintf("the role %s is unreachable (%s); the next attempt is in %u s", c->op->role,
						    r->why, MAX(wait_s, 1));
	call_answer(c, &(struct reply){ .err = ERR_UNAVAILABLE, .message = message, .retry_after_s = MAX(wait_s, 1) });
}

static void on_attempt_retry(void *arg)
{
	struct asked *a = arg;
	metric_add(a->rest->retries, 1);
	call_attempt(a);
}

/* Schedules another attempt if the operation may be repeated and the deadline allows it. */
static bool try_again(struct asked *a)
{
	/* with If-Match, the first attempt may have changed the version already, and a second one would be refused */
	if (!(a->call->op->flags & (OP_IDEMPOTENT | OP_READ)) || (a->uncertain && a->call->if_match) || a->tries >= TRIES || a->rest->breaker.state == BREAKER_OPEN)
		return false;
	int64_t wait_ms = backoff_next(&a->wait);
	if (wait_ms >= call_time_left_ms(a->call))
		return false;
	if (!a->again)
		a->again = loop_timer_new(a->rest->loop, on_attempt_retry, a);
	loop_timer_set(a->again, wait_ms);
	return true;
}

/* After an uncertain DELETE, 404 means that the earlier attempt deleted the object. */
static bool was_deleted(const struct call *c, const struct http_result *res)
{
	return str_eq(c->op->verb, "DELETE") && c->op->status == 204 && http_result_status(res) == 404;
}

/* The peer refused a retry without performing it, which says nothing about the attempt before it. */
static bool retry_was_refused(const struct asked *a, const struct http_result *res)
{
	static const int refusals[] = { 401, 429, 503 };
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (http_result_status(res) == refusals[i])
			return a->uncertain && !(a->call->op->flags & OP_READ);
	return false;
}

static void on_result(const struct http_result *res, void *arg)
{
	struct asked *a = arg;
	struct rest *r = a->rest;
	a->http = NULL;
	if (http_result_outcome(res) == HTTP_ANSWERED && retry_was_refused(a, res)) {
		fail_lost(a, "its retry was refused");
		rest_heard(r);
		return;
	}
	if (http_result_outcome(res) == HTTP_ANSWERED) {
		if (a->uncertain && was_deleted(a->call, res)) {
			call_ok(asked_end(a, ANSWERED), NULL);
			rest_heard(r);
			return;
		}
		if (rest_answer(asked_end(a, ANSWERED), res))
			rest_heard(r);
		else
			note_silence(r, "the peer is not lucid-rdp");
		return;
	}
	a->uncertain |= http_result_outcome(res) == HTTP_UNCERTAIN;
	note_silence(r, http_result_why(res));
	if (!try_again(a))
		fail_lost(a, http_result_why(res));
}

static void call_attempt(struct asked *a)
{
	const char *why = "too many calls are in flight";
	if (!breaker_allows(&a->rest->breaker, clock_mono_ms())) {
		fail_at_once(a);
		return;
	}
	show_state(a->rest);
	a->tries++;
	int rc = send_it(a, &why);
	if (rc == 0)
		return;
	if (a->uncertain) {
		fail_lost(a, why);
		return;
	}
	struct call *c = asked_end(a, REFUSED);
	call_fail(c, rc == -ERR_INVALID ? ERR_INTERNAL : rc, "the role %s cannot be called: %s", c->op->role, why);
}

/* --- the transport */

static void send_call(struct transport *t, struct call *c)
{
	if (!c->op->verb || c->hops >= REST_MAX_HOPS) {
		call_fail(c, ERR_UNAVAILABLE, c->op->verb ? "the call was forwarded %d times; check whether two role URLs point at each other"
							    : "this operation is not available over REST", REST_MAX_HOPS);
		return;
	}
	struct asked *a = XNEW(struct asked);
	a->rest = CONTAINER_OF(t, struct rest, transport);
	a->call = c;
	a->wait = (struct backoff){ TRY_FIRST_MS, TRY_MOST_MS, 0 };
	list_append(&a->rest->asked, &a->node);
	c->remote = (uintptr_t)a;
	call_attempt(a);
}

static void cancel_call(UNUSED struct transport *t, struct call *c)
{
	struct asked *a = (struct asked *)(uintptr_t)c->remote;
	if (!a)
		return;
	bool late = call_time_left_ms(c) == 0;
	/* if another call was answered meanwhile, the peer is slow, not unreachable */
	if (late && a->http && a->rest->answered_ms < a->sent_ms)
		note_silence(a->rest, "timed out waiting for a response");
	if (a->http)
		http_client_cancel(a->http);
	call_fail(asked_end(a, late ? DEADLINE : CANCELLED), ERR_CANCELLED, NULL);
}

/* --- life */

static struct metric_family *calls_family(void)
{
	return metric_family("rdp_peer_calls_total", METRIC_COUNTER, "peer,outcome", "Completed calls to another process over REST, by outcome; retries of a call are not counted.");
}

static struct metric_family *retries_family(void)
{
	return metric_family("rdp_peer_retries_total", METRIC_COUNTER, "peer", "Retries of calls to another process over REST.");
}

static struct metric_family *state_family(void)
{
	return metric_family("rdp_peer_breaker", METRIC_GAUGE, "peer",
			     "State of the circuit breaker for another process: 0 closed (calls are sent), 1 half open (probes), 2 open (calls fail).");
}

void rest_declare_figures(void)
{
	calls_family();
	retries_family();
	state_family();
}

struct rest *rest_new(struct loop *l, struct http_client *client, struct service_token *token, const char *url)
{
	struct rest *r = XNEW(struct rest);
	r->transport = (struct transport){ "rest", send_call, cancel_call, NULL };
	r->loop = l;
	r->client = client;
	r->token = token;
	r->url = xstrdup(url);
	list_init(&r->asked);
	breaker_init(&r->breaker);
	for (size_t i = 0; i < OUTCOMES; i++)
		r->counts[i] = metric_with(calls_family(), url, outcomes[i]);
	r->retries = metric_with(retries_family(), url);
	r->state = metric_with(state_family(), url);
	return r;
}

void rest_free(struct rest *r)
{
	struct asked *a, *tmp;
	if (!r)
		return;
	LIST_FOREACH_SAFE(a, tmp, &r->asked, node) {
		if (a->http)
			http_client_cancel(a->http);
		call_fail(asked_end(a, UNCERTAIN), ERR_UNCERTAIN, NULL);
	}
	metric_forget(calls_family(), r->url);
	metric_forget(retries_family(), r->url);
	metric_forget(state_family(), r->url);
	free(r->url);
	free(r);
}

struct transport *rest_transport(struct rest *r)
{
	return &r->transport;
}
