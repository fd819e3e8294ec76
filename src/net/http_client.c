#include "net/http_client.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/str.h"
#include "net/http_link.h"
#include "net/http_wire.h"

#define TIMEOUT_MS 30000
#define MAX_BODY (1 << 20)
#define IDLE_MS 20000 /* well below what servers grant, so that we are seldom surprised by their closing */
#define IDLE_MAX 32   /* connections kept without a call */

struct http_result {
	enum http_outcome outcome;
	int status;
	const char *why;
	struct http_answer *answer;
};

struct http_call {
	struct list node;
	struct http_client *client;
	struct link *link;
	http_client_cb cb;
	void *arg;
	struct loop_timer *deadline;
	const char *why; /* it cannot be sent */
};

struct http_client {
	struct loop *loop;
	struct evdns_base *dns; /* made with the first name */
	struct ssl_ctx_st *tls; /* made with the first https://, or given */
	unsigned in_flight, max_in_flight, n_idle;
	struct list calls, idle, busy, doomed;
	struct loop_task bury;
	struct loop_timer *sweep;
};

/* --- links */

static void on_bury(struct loop_task *t)
{
	struct http_client *c = CONTAINER_OF(t, struct http_client, bury);
	while (!list_empty(&c->doomed))
		link_free(CONTAINER_OF(c->doomed.next, struct link, node));
}

/* We may be inside an event of it. */
static void link_doom(struct http_client *c, struct link *k)
{
	list_remove(&k->node);
	list_append(&c->doomed, &k->node);
	k->idle_since_ms = 0;
	loop_defer(c->loop, &c->bury);
}

static void link_keep(struct http_client *c, struct link *k)
{
	list_remove(&k->node);
	list_prepend(&c->idle, &k->node);
	k->idle_since_ms = clock_mono_ms();
	if (++c->n_idle > IDLE_MAX) {
		link_doom(c, CONTAINER_OF(c->idle.prev, struct link, node));
		c->n_idle--;
	}
	if (!loop_timer_pending(c->sweep))
		loop_timer_set(c->sweep, IDLE_MS);
}

static void on_sweep(void *arg)
{
	struct http_client *c = arg;
	int64_t now_ms = clock_mono_ms();
	while (!list_empty(&c->idle)) {
		struct link *k = CONTAINER_OF(c->idle.prev, struct link, node);
		int64_t left_ms = k->idle_since_ms + IDLE_MS - now_ms;
		if (left_ms > 0) {
			loop_timer_set(c->sweep, left_ms);
			return;
		}
		link_free(k);
		c->n_idle--;
	}
}

static void drop_idle(struct http_client *c)
{
	while (!list_empty(&c->idle))
		link_doom(c, CONTAINER_OF(c->idle.next, struct link, node));
	c->n_idle = 0;
}

/* --- the end of a call */

static void call_free(struct http_call *call)
{
	list_remove(&call->node);
	call->client->in_flight--;
	loop_timer_free(call->deadline);
	if (call->link)
		call->link->call = NULL;
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
	if (call->link)
		link_doom(call->client, call->link);
	call_end(call, &res);
}

static void on_deadline(void *arg)
{
	struct http_call *call = arg;
	bool sent = call->link && call->link->sent;
	call_fail(call, call->why ? call->why : sent ? "no answer in time" : "no connection in time");
}

static void on_link_lost(struct link *k, void *arg)
{
	struct http_client *c = arg;
	struct http_call *call = k->call;
	if (call) {
		call_fail(call, k->why);
	} else if (k->idle_since_ms) {
		c->n_idle--;
		link_doom(c, k);
	}
}

static void on_link_answer(struct link *k, void *arg)
{
	struct http_client *c = arg;
	struct http_call *call = k->call;
	struct http_result res = { HTTP_ANSWERED, k->answer.status, "", &k->answer };
	call->link = NULL;
	k->call = NULL;
	/* kept only afterwards: a callback that asks again must not get a connection that is still in this answer */
	call_end(call, &res);
	if (link_may_stay(k))
		link_keep(c, k);
	else
		link_doom(c, k);
}

/* --- asking */

static int refuse(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_INVALID;
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

static struct link *link_get(struct http_client *c, const struct http_url *place, const char **ret_why)
{
	static const struct link_events events = { on_link_answer, on_link_lost };
	struct link *k, *tmp;
	LIST_FOREACH_SAFE(k, tmp, &c->idle, node) {
		if (!http_url_same_place(&k->place, place))
			continue;
		c->n_idle--;
		k->idle_since_ms = 0;
		if (!link_is_gone(k)) {
			list_remove(&k->node);
			return k;
		}
		link_doom(c, k);
	}
	if (!want_dns(c, place)) {
		*ret_why = "names cannot be resolved: /etc/resolv.conf is not usable";
		return NULL;
	}
	if (place->scheme == HTTP_SECURE)
		want_tls(c);
	return link_new(c->loop, c->dns, c->tls, place, &events, c);
}

static void write_request(struct evbuffer *out, const struct http_ask *ask, const struct http_url *u)
{
	evbuffer_add_printf(out, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", http_method_name(ask->method), *u->path == '/' ? "" : "/",
			    u->path, u->host_header);
	for (size_t i = 0; i < ask->n_headers; i++)
		evbuffer_add_printf(out, "%s: %s\r\n", ask->headers[i].name, ask->headers[i].value);
	if (ask->body_len || ask->method == HTTP_POST || ask->method == HTTP_PUT || ask->method == HTTP_PATCH)
		evbuffer_add_printf(out, "Content-Length: %zu\r\n", ask->body_len);
	evbuffer_add(out, "\r\n", 2);
	evbuffer_add(out, ask->body, ask->body_len);
}

static void start(struct http_call *call, const struct http_ask *ask, const struct http_url *u)
{
	struct http_client *c = call->client;
	struct link *k = link_get(c, u, &call->why);
	loop_timer_set(call->deadline, !k ? 0 : ask->timeout_ms > 0 ? ask->timeout_ms : TIMEOUT_MS);
	if (!k)
		return;
	call->link = k;
	k->call = call;
	list_append(&c->busy, &k->node);
	struct evbuffer *request = evbuffer_new();
	if (!request)
		abort(); /* no memory */
	write_request(request, ask, u);
	link_ask(k, request, ask->method == HTTP_HEAD, ask->max_body ? ask->max_body : MAX_BODY);
	evbuffer_free(request);
}

int http_client_tls(struct http_client *c, const struct http_tls *t, char *why, size_t size)
{
	struct ssl_ctx_st *tls = tls_client_new(t, why, size);
	if (!tls)
		return -ERR_INVALID;
	tls_unref(c->tls);
	c->tls = tls;
	drop_idle(c); /* those under way end with what they began with */
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
	if (c->in_flight >= c->max_in_flight) {
		if (ret_why)
			*ret_why = "too many requests are under way";
		return -ERR_UNAVAILABLE;
	}
	struct http_call *call = XNEW(struct http_call);
	call->client = c;
	call->cb = cb;
	call->arg = arg;
	call->deadline = loop_timer_new(c->loop, on_deadline, call);
	list_append(&c->calls, &call->node);
	c->in_flight++;
	start(call, ask, &u);
	if (ret_call)
		*ret_call = call;
	return 0;
}

void http_client_cancel(struct http_call *call)
{
	if (call->link)
		link_doom(call->client, call->link);
	call_free(call);
}

struct http_client *http_client_new(struct loop *l, unsigned max_in_flight)
{
	struct http_client *c = XNEW(struct http_client);
	signal(SIGPIPE, SIG_IGN);
	c->loop = l;
	c->max_in_flight = max_in_flight;
	list_init(&c->calls);
	list_init(&c->idle);
	list_init(&c->busy);
	list_init(&c->doomed);
	loop_task_init(&c->bury, on_bury);
	c->sweep = loop_timer_new(l, on_sweep, c);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	c->max_in_flight = 0; /* callbacks that ask again are refused */
	while (!list_empty(&c->calls))
		call_fail(CONTAINER_OF(c->calls.next, struct http_call, node), "this side is closing");
	drop_idle(c);
	loop_undefer(&c->bury);
	on_bury(&c->bury);
	loop_timer_free(c->sweep);
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

const char *http_result_header(const struct http_result *r, const char *name)
{
	return r->answer ? http_answer_header(r->answer, name) : NULL;
}
