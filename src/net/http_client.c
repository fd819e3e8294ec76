#include "net/http_client.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

#include "lucid/errs.h"
#include "lucid/str.h"
#include "net/http_body.h"
#include "net/http_pool.h"
#include "net/http_wire.h"

#define TIMEOUT_MS 30000
#define MAX_BODY (1 << 20)

struct http_result {
	enum http_outcome outcome;
	int status;
	const char *why;
	struct http_answer *answer;
	struct source *source; /* of the body, where that was asked for */
};

/* A place that is asked at this moment. */
struct way {
	struct list node;
	struct http_url place;
	struct list waiting; /* calls without a connection, oldest first */
	unsigned n_waiting, n_busy;
};

struct http_call {
	struct list node; /* of the client's, or of those that wait for the same place */
	struct http_client *client;
	struct way *way;
	struct link *link;
	http_client_cb cb;
	void *arg;
	struct loop_timer *deadline;
	struct evbuffer *request; /* until it has a connection */
	bool bodyless, streams;
	size_t max_body;
	struct http_body *body; /* its answer has begun, and the callback was called */
	const char *why; /* it cannot be sent */
};

struct http_client {
	struct loop *loop;
	struct evdns_base *dns; /* made with the first name */
	struct ssl_ctx_st *tls; /* made with the first https://, or given */
	unsigned in_flight, max_in_flight, max_busy, max_waiting;
	size_t gathered, max_gathered; /* bytes of the answers that come */
	struct list calls, busy, ways;
	struct http_pool pool;
	struct loop_task pump;
};

/* --- ways */

static struct way *way_get(struct http_client *c, const struct http_url *place)
{
	struct way *w;
	LIST_FOREACH(w, &c->ways, node)
		if (http_url_same_place(&w->place, place))
			return w;
	w = XNEW(struct way);
	w->place = *place;
	w->place.path = "";
	list_init(&w->waiting);
	list_append(&c->ways, &w->node);
	return w;
}

static void way_leave(struct http_call *call)
{
	struct http_client *c = call->client;
	struct way *w = call->way;
	if (call->request)
		w->n_waiting--;
	else
		w->n_busy--;
	if (w->n_waiting) {
		loop_defer(c->loop, &c->pump);
	} else if (!w->n_busy) {
		list_remove(&w->node);
		free(w);
	}
}

/* --- the end of a call */

static void forget_gathered(struct http_client *c, struct link *k)
{
	c->gathered -= k->counted;
	k->counted = 0;
}

static void call_free(struct http_call *call)
{
	list_remove(&call->node);
	way_leave(call);
	call->client->in_flight--;
	loop_timer_free(call->deadline);
	if (call->request)
		evbuffer_free(call->request);
	if (call->link) {
		forget_gathered(call->client, call->link);
		call->link->call = NULL;
	}
	free(call);
}

static void call_end(struct http_call *call, const struct http_result *res)
{
	http_client_cb cb = call->cb;
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
		pool_doom(&call->client->pool, call->link);
	if (call->body)
		call_free(call);
	else
		call_end(call, &res);
}

static void keep_link(struct http_client *c, struct link *k)
{
	if (link_may_stay(k))
		pool_keep(&c->pool, k);
	else
		pool_doom(&c->pool, k);
}

static void on_deadline(void *arg)
{
	struct http_call *call = arg;
	bool sent = call->link && call->link->sent;
	if (sent) /* where one is dead the others may be as well */
		pool_drop(&call->client->pool, &call->way->place);
	call_fail(call, call->why	? call->why :
			call->request	? "its connections are all in use" :
			sent		? "no answer in time" :
					  "no connection in time");
}

static void on_link_lost(struct link *k, void *arg)
{
	struct http_client *c = arg;
	struct http_call *call = k->call;
	if (call)
		call_fail(call, k->why);
	else if (k->idle_since_ms)
		pool_doom(&c->pool, k);
}

/* --- answers that are given on as they come */

static void on_body_dropped(void *arg)
{
	struct http_call *call = arg;
	pool_doom(&call->client->pool, call->link);
	call_free(call);
}

static bool streams(const struct http_call *call)
{
	return call && call->streams && call->link->answer.status < 300;
}

/* From its head on it is answered. False: nobody wants the body, and both it and the call are gone. */
static bool hand_over(struct http_call *call)
{
	static const struct http_body_events events = { on_body_dropped };
	struct link *k = call->link;
	if (call->body)
		return true;
	loop_timer_clear(call->deadline);
	call->body = http_body_new(call->client->loop, k, &events, call);
	struct source *source = http_body_source(call->body);
	struct http_result res = { HTTP_ANSWERED, k->answer.status, "", &k->answer, source };
	call->cb(&res, call->arg);
	source_unref(source);
	return k->call;
}

static void body_whole(struct http_client *c, struct link *k)
{
	struct http_call *call = k->call;
	if (!hand_over(call))
		return;
	http_body_end(call->body, NULL);
	call->link = NULL;
	k->call = NULL;
	call_free(call);
	keep_link(c, k);
}

static void on_link_more(struct link *k, void *arg)
{
	struct http_client *c = arg;
	struct http_call *call = k->call;
	if (streams(call)) {
		if (hand_over(call))
			http_body_more(call->body);
		return;
	}
	size_t len = evbuffer_get_length(k->answer.body);
	c->gathered += len - k->counted;
	k->counted = len;
	if (c->gathered > c->max_gathered && k->call)
		call_fail(k->call, "the answers that come at this moment are larger together than allowed");
}

static void on_link_answer(struct link *k, void *arg)
{
	struct http_client *c = arg;
	struct http_call *call = k->call;
	struct http_result res = { HTTP_ANSWERED, k->answer.status, "", &k->answer, NULL };
	if (streams(call)) {
		body_whole(c, k);
		return;
	}
	call->link = NULL;
	k->call = NULL;
	forget_gathered(c, k);
	/* kept only afterwards: a callback that asks again must not get a connection that is still in this answer */
	call_end(call, &res);
	keep_link(c, k);
}

/* --- asking */

static int refuse(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_INVALID;
}

static int full(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_BUSY;
}

/* False: it is a name, and names cannot be resolved here. */
static bool want_dns(struct http_client *c, const struct http_url *place)
{
	struct in6_addr literal;
	if (place->scheme == HTTP_LOCAL || inet_pton(AF_INET, place->host, &literal) == 1 ||
	    inet_pton(AF_INET6, place->host, &literal) == 1)
		return true;
	if (!c->dns)
		c->dns = evdns_base_new(loop_base(c->loop), EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	return c->dns;
}

/* The system's authorities, and no certificate of our own. */
static void want_tls(struct http_client *c)
{
	char why[200];
	if (!c->tls)
		c->tls = tls_client_new(&(struct http_tls){ 0 }, why, sizeof why);
}

struct link *http_client_dial(struct http_client *c, const struct http_url *place, const struct link_events *events, void *arg,
			      const char **ret_why)
{
	if (!want_dns(c, place)) {
		*ret_why = "names cannot be resolved: /etc/resolv.conf is not usable";
		return NULL;
	}
	if (place->scheme == HTTP_SECURE)
		want_tls(c);
	return link_new(c->loop, c->dns, c->tls, place, events, arg);
}

void http_client_drop(struct http_client *c, struct link *k)
{
	pool_doom(&c->pool, k);
}

static struct evbuffer *make_request(const struct http_ask *ask, const struct http_url *u)
{
	struct evbuffer *out = evbuffer_new();
	if (!out)
		abort(); /* no memory */
	evbuffer_add_printf(out, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", http_method_name(ask->method), *u->path == '/' ? "" : "/",
			    u->path, u->host_header);
	for (size_t i = 0; i < ask->n_headers; i++)
		evbuffer_add_printf(out, "%s: %s\r\n", ask->headers[i].name, ask->headers[i].value);
	if (ask->body_len || ask->method == HTTP_POST || ask->method == HTTP_PUT || ask->method == HTTP_PATCH)
		evbuffer_add_printf(out, "Content-Length: %zu\r\n", ask->body_len);
	evbuffer_add(out, "\r\n", 2);
	evbuffer_add(out, ask->body, ask->body_len);
	return out;
}

/* It waits no longer. */
static void start(struct http_call *call)
{
	static const struct link_events events = { on_link_answer, on_link_lost, on_link_more };
	struct http_client *c = call->client;
	struct way *w = call->way;
	struct evbuffer *request = TAKE_PTR(call->request);
	list_remove(&call->node);
	list_append(&c->calls, &call->node);
	w->n_waiting--;
	w->n_busy++;
	struct link *k = pool_take(&c->pool, &w->place);
	if (!k)
		k = http_client_dial(c, &w->place, &events, c, &call->why);
	if (k) {
		call->link = k;
		k->call = call;
		k->greedy = call->streams;
		list_append(&c->busy, &k->node);
		link_ask(k, request, call->bodyless, call->max_body);
	} else {
		loop_timer_set(call->deadline, 0);
	}
	evbuffer_free(request);
}

static void on_pump(struct loop_task *t)
{
	struct http_client *c = CONTAINER_OF(t, struct http_client, pump);
	struct way *w;
	LIST_FOREACH(w, &c->ways, node)
		while (w->n_waiting && w->n_busy < c->max_busy)
			start(CONTAINER_OF(w->waiting.next, struct http_call, node));
}

int http_client_tls(struct http_client *c, const struct http_tls *t, char *why, size_t size)
{
	struct ssl_ctx_st *tls = tls_client_new(t, why, size);
	if (!tls)
		return -ERR_INVALID;
	tls_unref(c->tls);
	c->tls = tls;
	pool_drop(&c->pool, NULL); /* those under way end with what they began with */
	return 0;
}

int http_client_ask(struct http_client *c, const struct http_ask *ask, http_client_cb cb, void *arg, const char **ret_why,
		    struct http_call **ret_call)
{
	struct http_url u;
	int r = http_url_parse(ask->url, &u, ret_why);
	if (r)
		return r;
	if (ask->method >= HTTP_OTHER)
		return refuse("that method cannot be sent", ret_why);
	for (size_t i = 0; i < ask->n_headers; i++)
		if (!http_header_ok(&ask->headers[i]))
			return refuse("a header has a control character or no proper name", ret_why);
	if (c->in_flight >= c->max_in_flight)
		return full("too many requests are under way", ret_why);
	struct way *w = way_get(c, &u);
	if (w->n_busy >= c->max_busy && w->n_waiting >= c->max_waiting)
		return full("its connections are all in use, and too many requests wait for one", ret_why);
	struct http_call *call = XNEW(struct http_call);
	*call = (struct http_call){ .client = c, .way = w, .cb = cb, .arg = arg, .bodyless = ask->method == HTTP_HEAD,
				    .streams = ask->streams && ask->method != HTTP_HEAD,
				    .max_body = ask->streams ? SIZE_MAX : ask->max_body ? ask->max_body : MAX_BODY, .request = make_request(ask, &u) };
	call->deadline = loop_timer_new(c->loop, on_deadline, call);
	loop_timer_set(call->deadline, ask->timeout_ms > 0 ? ask->timeout_ms : TIMEOUT_MS);
	list_append(&w->waiting, &call->node);
	w->n_waiting++;
	c->in_flight++;
	if (w->n_busy < c->max_busy && w->n_waiting == 1)
		start(call);
	if (ret_call)
		*ret_call = call;
	return 0;
}

void http_client_cancel(struct http_call *call)
{
	if (call->link)
		pool_doom(&call->client->pool, call->link);
	call_free(call);
}

struct http_client *http_client_new(struct loop *l, unsigned max_in_flight)
{
	struct http_client *c = XNEW(struct http_client);
	signal(SIGPIPE, SIG_IGN);
	c->loop = l;
	c->max_in_flight = c->max_busy = max_in_flight;
	c->max_gathered = SIZE_MAX;
	list_init(&c->calls);
	list_init(&c->busy);
	list_init(&c->ways);
	pool_init(&c->pool, l);
	loop_task_init(&c->pump, on_pump);
	return c;
}

void http_client_limit_place(struct http_client *c, unsigned connections, unsigned waiting)
{
	c->max_busy = connections;
	c->max_waiting = waiting;
}

void http_client_limit_answers(struct http_client *c, size_t bytes)
{
	c->max_gathered = bytes;
}

void http_client_free(struct http_client *c)
{
	struct way *w;
	if (!c)
		return;
	c->max_in_flight = 0; /* callbacks that ask again are refused */
	loop_undefer(&c->pump);
	LIST_FOREACH(w, &c->ways, node)
		while (!list_empty(&w->waiting))
			list_append(&c->calls, list_take_first(&w->waiting));
	while (!list_empty(&c->calls))
		call_fail(CONTAINER_OF(c->calls.next, struct http_call, node), "this side is closing");
	loop_undefer(&c->pump);
	pool_done(&c->pool);
	if (c->dns)
		evdns_base_free(c->dns, 0);
	tls_unref(c->tls);
	free(c);
}

unsigned http_client_in_flight(const struct http_client *c)
{
	return c->in_flight;
}

enum http_outcome http_result_outcome(const struct http_result *r)
{
	return r->outcome;
}

int http_result_status(const struct http_result *r)
{
	return r->status;
}

const char *http_result_why(const struct http_result *r)
{
	return r->why;
}

const char *http_result_body(const struct http_result *r, size_t *ret_len)
{
	struct evbuffer *b = r->answer ? r->answer->body : NULL;
	*ret_len = b ? evbuffer_get_length(b) : 0;
	return *ret_len ? (const char *)evbuffer_pullup(b, -1) : NULL;
}

struct source *http_result_source(const struct http_result *r)
{
	return r->source;
}

const char *http_result_header(const struct http_result *r, const char *name)
{
	return r->answer ? http_answer_header(r->answer, name) : NULL;
}
