#include "net/client/http_call.h"

#include <event2/buffer.h>

#include "net/client/http_body.h"

#define TIMEOUT_MS 30000
#define MAX_BODY (1 << 20)

struct http_call {
	struct list node; /* in the queue of its origin, then in http_calls.started */
	struct http_calls *all;
	struct http_origin *origin;
	struct link *link;
	http_result_cb cb;
	void *arg;
	struct loop_timer *deadline;
	struct evbuffer *request; /* NULL once the call has left the queue */
	bool bodyless, streams;
	size_t max_body;
	struct http_body *body; /* streamed; the callback was called */
	const char *why;	/* why no connection could be opened */
};

/* --- the end of a call */

static void forget_gathered(struct http_calls *cs, struct link *k)
{
	cs->gathered -= k->counted;
	k->counted = 0;
}

static void call_free(struct http_call *call)
{
	struct http_calls *cs = call->all;
	list_remove(&call->node);
	if (http_origin_leave(call->origin, call->request))
		loop_defer(cs->loop, &cs->pump);
	cs->in_flight--;
	loop_timer_free(call->deadline);
	if (call->request)
		evbuffer_free(call->request);
	if (call->link) {
		forget_gathered(cs, call->link);
		call->link->call = NULL;
	}
	free(call);
}

static void call_end(struct http_call *call, const struct http_result *res)
{
	http_result_cb cb = call->cb;
	void *arg = call->arg;
	call_free(call);
	cb(res, arg);
}

static void call_fail(struct http_call *call, const char *why)
{
	bool sent = call->link && call->link->sent;
	struct http_result res = { .outcome = sent ? HTTP_UNCERTAIN : HTTP_NEVER_SENT, .why = why };
	if (call->body)
		http_body_end(call->body, why);
	if (call->link)
		pool_doom(&call->all->pool, call->link);
	if (call->body)
		call_free(call);
	else
		call_end(call, &res);
}

static void on_deadline(void *arg)
{
	struct http_call *call = arg;
	bool sent = call->link && call->link->sent;
	if (sent) /* if this connection is dead, the idle ones to the same origin may be as well */
		pool_drop(&call->all->pool, &call->origin->url);
	call_fail(call, call->why	? call->why :
			call->request	? "all connections to it are in use" :
			sent		? "timed out waiting for a response" :
					  "timed out connecting");
}

void http_call_cancel(struct http_call *call)
{
	if (call->link)
		pool_doom(&call->all->pool, call->link);
	call_free(call);
}

/* --- streamed bodies */

static void on_body_dropped(void *arg)
{
	struct http_call *call = arg;
	pool_doom(&call->all->pool, call->link);
	call_free(call);
}

static bool call_streams(const struct http_call *call)
{
	return call->streams && call->link->answer.status < 300;
}

/* Calls the callback when the head has arrived. False: the callback did not keep the body; body and call are freed. */
static bool hand_over(struct http_call *call)
{
	static const struct http_body_events events = { on_body_dropped };
	struct link *k = call->link;
	if (call->body)
		return true;
	loop_timer_clear(call->deadline);
	call->body = http_body_new(call->all->loop, k, &events, call);
	struct source *source = http_body_source(call->body);
	struct http_result res = { HTTP_ANSWERED, k->answer.status, "", &k->answer, source };
	call->cb(&res, call->arg);
	source_unref(source);
	return k->call;
}

/* --- events of its connection */

static void keep_link(struct http_calls *cs, struct link *k)
{
	if (link_may_stay(k))
		pool_keep(&cs->pool, k);
	else
		pool_doom(&cs->pool, k);
}

static void on_link_lost(struct link *k, void *arg)
{
	struct http_calls *cs = arg;
	struct http_call *call = k->call;
	if (call)
		call_fail(call, k->why);
	else if (k->idle_since_ms)
		pool_doom(&cs->pool, k);
}

static void on_link_more(struct link *k, void *arg)
{
	struct http_calls *cs = arg;
	struct http_call *call = k->call;
	if (!call) /* it was cancelled in this turn, when bytes had been read already; the connection is being closed */
		return;
	if (call_streams(call)) {
		if (hand_over(call))
			http_body_more(call->body);
		return;
	}
	size_t len = evbuffer_get_length(k->answer.body);
	cs->gathered += len - k->counted;
	k->counted = len;
	if (cs->gathered > cs->max_gathered)
		call_fail(call, "the responses in flight exceed the memory limit");
}

static void body_complete(struct http_calls *cs, struct link *k)
{
	struct http_call *call = k->call;
	if (!hand_over(call))
		return;
	http_body_end(call->body, NULL);
	call->link = NULL;
	k->call = NULL;
	call_free(call);
	keep_link(cs, k);
}

static void on_link_answer(struct link *k, void *arg)
{
	struct http_calls *cs = arg;
	struct http_call *call = k->call;
	struct http_result res = { HTTP_ANSWERED, k->answer.status, "", &k->answer, NULL };
	if (!call) /* as in on_link_more */
		return;
	if (call_streams(call)) {
		body_complete(cs, k);
		return;
	}
	call->link = NULL;
	k->call = NULL;
	forget_gathered(cs, k);
	/* pooled only after the callback: a request made in it must not get this connection, whose response is still in use */
	call_end(call, &res);
	keep_link(cs, k);
}

/* --- the start of a call */

static void call_start(struct http_call *call)
{
	static const struct link_events events = { on_link_answer, on_link_lost, on_link_more };
	struct http_calls *cs = call->all;
	struct evbuffer *request = TAKE_PTR(call->request);
	http_origin_dequeue(call->origin, &call->node);
	list_append(&cs->started, &call->node);
	struct link *k = pool_take(&cs->pool, &call->origin->url);
	if (!k)
		k = http_dialer_dial(&cs->dialer, &call->origin->url, &events, cs, &call->why);
	if (k) {
		call->link = k;
		k->call = call;
		k->greedy = call->streams;
		list_append(&cs->busy, &k->node);
		link_ask(k, request, call->bodyless, call->max_body);
	} else {
		loop_timer_set(call->deadline, 0);
	}
	evbuffer_free(request);
}

static struct http_call *first_queued(struct http_origin *o)
{
	return CONTAINER_OF(o->queue.next, struct http_call, node);
}

static void on_pump(struct loop_task *t)
{
	struct http_calls *cs = CONTAINER_OF(t, struct http_calls, pump);
	struct http_origin *o;
	LIST_FOREACH(o, &cs->origins.all, node)
		while (http_origin_ready(&cs->origins, o))
			call_start(first_queued(o));
}

struct http_call *http_call_new(struct http_calls *cs, const struct http_ask *ask, const struct http_url *url, struct http_origin *origin,
				http_result_cb cb, void *arg)
{
	struct http_call *call = XNEW(struct http_call);
	*call = (struct http_call){ .all = cs, .origin = origin, .cb = cb, .arg = arg, .bodyless = ask->method == HTTP_HEAD,
				    .streams = ask->streams && ask->method != HTTP_HEAD,
				    .max_body = ask->streams ? SIZE_MAX : ask->max_body ? ask->max_body : MAX_BODY,
				    .request = http_ask_write(ask, url) };
	call->deadline = loop_timer_new(cs->loop, on_deadline, call);
	loop_timer_set(call->deadline, ask->timeout_ms > 0 ? ask->timeout_ms : TIMEOUT_MS);
	http_origin_enqueue(origin, &call->node);
	cs->in_flight++;
	/* behind others that are queued it waits for on_pump, which keeps their order */
	if (origin->n_queued == 1 && http_origin_ready(&cs->origins, origin))
		call_start(call);
	return call;
}

/* --- life */

void http_calls_init(struct http_calls *cs, struct loop *l)
{
	*cs = (struct http_calls){ .loop = l, .max_gathered = SIZE_MAX };
	list_init(&cs->started);
	list_init(&cs->busy);
	http_dialer_init(&cs->dialer, l);
	http_origins_init(&cs->origins);
	pool_init(&cs->pool, l);
	loop_task_init(&cs->pump, on_pump);
}

void http_calls_done(struct http_calls *cs)
{
	struct http_origin *o;
	loop_undefer(&cs->pump);
	LIST_FOREACH(o, &cs->origins.all, node)
		while (!list_empty(&o->queue))
			list_append(&cs->started, list_take_first(&o->queue));
	while (!list_empty(&cs->started))
		call_fail(CONTAINER_OF(cs->started.next, struct http_call, node), "the client is closing");
	loop_undefer(&cs->pump);
	pool_done(&cs->pool);
	http_dialer_done(&cs->dialer);
}
