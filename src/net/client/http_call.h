/*
 * http_call: one request of the HTTP client from its admission to its callback: queue, connection, deadline, response, streamed body.
 * Floor F2, loop thread only, never blocks. Not for: the limits on requests and the interface of the client (http_client.h).
 */
#ifndef NET_CLIENT_HTTP_CALL_H
#define NET_CLIENT_HTTP_CALL_H

#include "net/client/http_ask.h"
#include "net/client/http_dialer.h"
#include "net/client/http_origin.h"
#include "net/client/http_pool.h"
#include "net/client/http_result.h"

struct http_call;

/* All calls of one client, and the connections they share. */
struct http_calls {
	struct loop *loop;
	struct http_dialer dialer;
	struct http_pool pool;
	struct http_origins origins;
	unsigned in_flight;	       /* queued ones included */
	size_t gathered, max_gathered; /* bytes of responses that are not complete yet */
	struct list started;	       /* calls that have left the queue of their origin */
	struct list busy;	       /* connections with a call */
	struct loop_task pump;	       /* starts queued calls */
};

/* Called exactly once, never from within http_call_new; res and everything it returns are borrowed until the callback returns. */
typedef void (*http_result_cb)(const struct http_result *res, void *arg);

void http_calls_init(struct http_calls *cs, struct loop *l);
/* Ends all calls: their callbacks get HTTP_NEVER_SENT or HTTP_UNCERTAIN and must not make new ones. */
void http_calls_done(struct http_calls *cs);
/* `ask` was checked, and `origin`, the one of `url`, has room for another request. */
struct http_call *http_call_new(struct http_calls *cs, const struct http_ask *ask, const struct http_url *url, struct http_origin *origin,
				http_result_cb cb, void *arg);
void http_call_cancel(struct http_call *call); /* its callback is not called */

#endif
