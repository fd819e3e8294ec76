#include "net/client/http_client.h"

#include <signal.h>

#include "lucid/errs.h"
#include "net/client/http_call.h"

struct http_client {
	unsigned max_in_flight;
	struct http_calls calls;
};

static int client_full(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_BUSY;
}

int http_client_ask(struct http_client *c, const struct http_ask *ask, http_client_cb cb, void *arg, const char **ret_why,
		    struct http_call **ret_call)
{
	struct http_url url;
	int r = http_ask_check(ask, &url, ret_why);
	if (r)
		return r;
	if (c->calls.in_flight >= c->max_in_flight)
		return client_full("too many requests are in flight", ret_why);
	struct http_origin *o = http_origin_get(&c->calls.origins, &url);
	if (http_origin_full(&c->calls.origins, o))
		return client_full("all connections to it are in use, and too many requests are queued", ret_why);
	struct http_call *call = http_call_new(&c->calls, ask, &url, o, cb, arg);
	if (ret_call)
		*ret_call = call;
	return 0;
}

void http_client_cancel(struct http_call *call)
{
	http_call_cancel(call);
}

unsigned http_client_in_flight(const struct http_client *c)
{
	return c->calls.in_flight;
}

struct link *http_client_dial(struct http_client *c, const struct http_url *origin, const struct link_events *events, void *arg,
			      const char **ret_why)
{
	return http_dialer_dial(&c->calls.dialer, origin, events, arg, ret_why);
}

void http_client_drop(struct http_client *c, struct link *k)
{
	pool_doom(&c->calls.pool, k);
}

int http_client_tls(struct http_client *c, const struct http_tls *t, char *why, size_t size)
{
	int r = http_dialer_tls(&c->calls.dialer, t, why, size);
	if (!r)
		pool_drop(&c->calls.pool, NULL);
	return r;
}

void http_client_limit_origin(struct http_client *c, unsigned connections, unsigned waiting)
{
	c->calls.origins.max_busy = connections;
	c->calls.origins.max_queued = waiting;
}

void http_client_limit_answers(struct http_client *c, size_t bytes)
{
	c->calls.max_gathered = bytes;
}

struct http_client *http_client_new(struct loop *l, unsigned max_in_flight)
{
	struct http_client *c = XNEW(struct http_client);
	signal(SIGPIPE, SIG_IGN);
	c->max_in_flight = max_in_flight;
	http_calls_init(&c->calls, l);
	http_client_limit_origin(c, max_in_flight, 0);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	c->max_in_flight = 0; /* a callback that makes a new request is refused */
	http_calls_done(&c->calls);
	free(c);
}
