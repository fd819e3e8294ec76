#include "net/http_client.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <signal.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/str.h"
#include "net/http_wire.h"

#define TIMEOUT_MS 30000
#define MAX_BODY (1 << 20)
#define MAX_HEAD 16384
#define IDLE_MS 20000 /* well below what servers grant, so that we are seldom surprised by their closing */
#define IDLE_MAX 32   /* connections kept without a call */

/* A connection to one place. */
struct link {
	struct list node; /* idle, busy or doomed */
	struct http_client *client;
	struct evhttp_connection *ev;
	struct http_call *call;
	int64_t idle_since_ms;
	uint16_t port;
	char host[256];
};

struct http_result {
	enum http_outcome outcome;
	int status;
	const char *why;
	struct evhttp_request *req;
};

struct http_call {
	struct list node;
	struct http_client *client;
	struct link *link;
	http_client_cb cb;
	void *arg;
	struct loop_timer *deadline;
	bool sent;	 /* a byte of it has left */
	const char *why; /* what evhttp said went wrong */
};

struct http_client {
	struct loop *loop;
	struct evdns_base *dns; /* made with the first name */
	unsigned in_flight, max_in_flight, n_idle;
	struct list calls, idle, busy, doomed;
	struct loop_task bury;
	struct loop_timer *sweep;
};

/* --- links */

static void link_free(struct link *k)
{
	list_remove(&k->node);
	evhttp_connection_free(k->ev);
	free(k);
}

static void on_bury(struct loop_task *t)
{
	struct http_client *c = CONTAINER_OF(t, struct http_client, bury);
	while (!list_empty(&c->doomed))
		link_free(CONTAINER_OF(c->doomed.next, struct link, node));
}

/* We may be inside a callback of evhttp, which still touches it. */
static void link_doom(struct link *k)
{
	list_remove(&k->node);
	list_append(&k->client->doomed, &k->node);
	loop_defer(k->client->loop, &k->client->bury);
}

static void link_keep(struct link *k)
{
	struct http_client *c = k->client;
	list_remove(&k->node);
	list_prepend(&c->idle, &k->node);
	k->idle_since_ms = clock_mono_ms();
	if (++c->n_idle > IDLE_MAX) {
		link_doom(CONTAINER_OF(c->idle.prev, struct link, node));
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

/* Bytes left the output buffer, so they are the network's. */
static void on_output(UNUSED struct evbuffer *b, const struct evbuffer_cb_info *info, void *arg)
{
	struct link *k = arg;
	if (k->call && info->n_deleted)
		k->call->sent = true;
}

static struct link *link_new(struct http_client *c, const char *host, uint16_t port)
{
	struct in6_addr literal;
	struct evdns_base *dns = NULL;
	if (inet_pton(AF_INET, host, &literal) != 1 && inet_pton(AF_INET6, host, &literal) != 1) {
		if (!c->dns)
			c->dns = evdns_base_new(loop_base(c->loop), EVDNS_BASE_INITIALIZE_NAMESERVERS |
									EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		if (!c->dns)
			return NULL;
		dns = c->dns;
	}
	struct link *k = XNEW(struct link);
	list_init(&k->node);
	k->client = c;
	k->port = port;
	str_copy(k->host, sizeof k->host, host);
	k->ev = evhttp_connection_base_new(loop_base(c->loop), dns, host, port);
	if (!k->ev)
		abort(); /* no memory */
	evhttp_connection_set_max_headers_size(k->ev, MAX_HEAD);
	evbuffer_add_cb(bufferevent_get_output(evhttp_connection_get_bufferevent(k->ev)), on_output, k);
	return k;
}

static struct link *link_get(struct http_client *c, const char *host, uint16_t port)
{
	struct link *k;
	LIST_FOREACH(k, &c->idle, node) {
		if (k->port == port && str_eq(k->host, host)) {
			c->n_idle--;
			list_remove(&k->node);
			return k;
		}
	}
	return link_new(c, host, port);
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
	struct http_result res = { .outcome = call->sent ? HTTP_UNCERTAIN : HTTP_NEVER_SENT, .why = why };
	if (call->link)
		link_doom(call->link);
	call_end(call, &res);
}

static void on_deadline(void *arg)
{
	struct http_call *call = arg;
	call_fail(call, call->why ? call->why : call->sent ? "no answer in time" : "no connection in time");
}

static void on_request_error(enum evhttp_request_error err, void *arg)
{
	static const char *const WHY[] = {
		[EVREQ_HTTP_TIMEOUT] = "no answer in time",
		[EVREQ_HTTP_EOF] = "the other side closed the connection",
		[EVREQ_HTTP_INVALID_HEADER] = "the answer is not proper HTTP",
		[EVREQ_HTTP_BUFFER_ERROR] = "the connection broke",
		[EVREQ_HTTP_REQUEST_CANCEL] = "given up",
		[EVREQ_HTTP_DATA_TOO_LONG] = "the answer is larger than allowed",
	};
	struct link *k = arg;
	if (k->call && (size_t)err < ARRAY_LEN(WHY))
		k->call->why = WHY[err];
}

static void on_answer(struct evhttp_request *req, void *arg)
{
	struct link *k = arg;
	struct http_call *call = k->call;
	if (!call)
		return; /* already ended, by its deadline or by cancelling */
	int status = req ? evhttp_request_get_response_code(req) : 0;
	if (status < 100) {
		/* evhttp may tell us from within http_client_ask: answer at the end of the turn */
		if (!call->why)
			call->why = call->sent ? "the connection broke" : "the other side does not accept connections";
		loop_timer_set(call->deadline, 0);
		return;
	}
	struct http_result res = { .outcome = HTTP_ANSWERED, .status = status, .why = "", .req = req };
	call->link = NULL;
	k->call = NULL;
	/* kept only afterwards: a callback that asks again must not get a connection that is still in this answer */
	struct http_client *c = call->client;
	call_end(call, &res);
	if (c->n_idle < IDLE_MAX)
		link_keep(k);
	else
		link_doom(k);
}

/* --- asking */

struct target {
	char host[256];
	char host_header[264];
	const char *path; /* "" or begins with '/' or '?' */
	uint16_t port;
};

static int refuse(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_INVALID;
}

static int parse_url(const char *url, struct target *t, const char **ret_why)
{
	char port_text[8] = "80";
	int64_t port;
	if (!str_starts(url, "http://"))
		return refuse("the URL must begin with http://; https:// and unix: are not supported here", ret_why);
	for (const char *s = url; *s; s++)
		if ((uint8_t)*s <= 0x20 || (uint8_t)*s >= 0x7f || *s == '#')
			return refuse("the URL may hold visible ASCII only, and no fragment", ret_why);
	const char *at = url + 7;
	size_t len = strcspn(at, "/?");
	if (memchr(at, '@', len))
		return refuse("the URL must not hold a user or password", ret_why);
	t->path = at + len;
	if (len == 0 || len >= sizeof t->host_header)
		return refuse("the URL has no host, or one that is too long", ret_why);
	memcpy(t->host_header, at, len);
	t->host_header[len] = 0;
	bool literal6 = *at == '[';
	const char *host = at + literal6, *end = literal6 ? memchr(at, ']', len) : NULL;
	size_t host_len = literal6 ? (end ? (size_t)(end - host) : 0) : strcspn(host, ":/?");
	if (host_len == 0 || host_len >= sizeof t->host)
		return refuse("the URL has no proper host", ret_why);
	memcpy(t->host, host, host_len);
	t->host[host_len] = 0;
	const char *rest = host + host_len + literal6;
	size_t rest_len = (size_t)(at + len - rest);
	if (rest_len) {
		if (*rest != ':' || rest_len < 2 || rest_len > 6)
			return refuse("the URL has no proper port", ret_why);
		memcpy(port_text, rest + 1, rest_len - 1);
		port_text[rest_len - 1] = 0;
	}
	if (!str_int(port_text, 1, 65535, &port))
		return refuse("the URL has no proper port", ret_why);
	t->port = (uint16_t)port;
	return 0;
}

static const enum evhttp_cmd_type COMMANDS[] = {
	[HTTP_GET] = EVHTTP_REQ_GET,	 [HTTP_HEAD] = EVHTTP_REQ_HEAD,	  [HTTP_POST] = EVHTTP_REQ_POST,
	[HTTP_PUT] = EVHTTP_REQ_PUT,	 [HTTP_PATCH] = EVHTTP_REQ_PATCH, [HTTP_DELETE] = EVHTTP_REQ_DELETE,
	[HTTP_OPTIONS] = EVHTTP_REQ_OPTIONS,
};

static void fill_request(struct evhttp_request *req, const struct http_ask *ask, const struct target *t)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);
	evhttp_add_header(out, "Host", t->host_header);
	for (size_t i = 0; i < ask->n_headers; i++)
		evhttp_add_header(out, ask->headers[i].name, ask->headers[i].value);
	if (ask->body_len) {
		char text[24];
		text[str_fmt_u64(text, ask->body_len)] = 0;
		evhttp_add_header(out, "Content-Length", text);
		evbuffer_add(evhttp_request_get_output_buffer(req), ask->body, ask->body_len);
	}
}

static void start(struct http_call *call, const struct http_ask *ask, const struct target *t)
{
	int64_t timeout_ms = ask->timeout_ms > 0 ? ask->timeout_ms : TIMEOUT_MS;
	struct link *k = link_get(call->client, t->host, t->port);
	loop_timer_set(call->deadline, timeout_ms);
	if (!k) {
		call->why = "names cannot be resolved: /etc/resolv.conf is not usable";
		loop_timer_set(call->deadline, 0);
		return;
	}
	call->link = k;
	k->call = call;
	list_append(&call->client->busy, &k->node);
	evhttp_connection_set_max_body_size(k->ev, (ssize_t)(ask->max_body ? ask->max_body : MAX_BODY));
	/* ours is the deadline; evhttp's is each read's or write's, and later */
	evhttp_connection_set_timeout(k->ev, (int)MIN(timeout_ms / 1000 + 5, 86400));
	struct evhttp_request *req = evhttp_request_new(on_answer, k);
	if (!req)
		abort(); /* no memory */
	evhttp_request_set_error_cb(req, on_request_error);
	fill_request(req, ask, t);
	_cleanup_(xfreep) char *path = xasprintf("%s%s", *t->path == '/' ? "" : "/", t->path);
	if (evhttp_make_request(k->ev, req, COMMANDS[ask->method], path) < 0) {
		call->why = "the connection could not be begun";
		loop_timer_set(call->deadline, 0);
	}
}

int http_client_ask(struct http_client *c, const struct http_ask *ask, http_client_cb cb, void *arg, const char **ret_why,
		    struct http_call **ret_call)
{
	struct target t;
	int r = parse_url(ask->url, &t, ret_why);
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
	start(call, ask, &t);
	if (ret_call)
		*ret_call = call;
	return 0;
}

void http_client_cancel(struct http_call *call)
{
	if (call->link)
		link_doom(call->link);
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
	while (!list_empty(&c->idle))
		link_free(CONTAINER_OF(c->idle.next, struct link, node));
	loop_undefer(&c->bury);
	on_bury(&c->bury);
	loop_timer_free(c->sweep);
	if (c->dns)
		evdns_base_free(c->dns, 0);
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
	struct evbuffer *b = r->req ? evhttp_request_get_input_buffer(r->req) : NULL;
	*ret_len = b ? evbuffer_get_length(b) : 0;
	return *ret_len ? (const char *)evbuffer_pullup(b, -1) : NULL;
}

const char *http_result_header(const struct http_result *r, const char *name)
{
	return r->req ? evhttp_find_header(evhttp_request_get_input_headers(r->req), name) : NULL;
}
