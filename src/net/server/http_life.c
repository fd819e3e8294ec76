#include "net/server/evhtp.h"

#include <event2/buffer.h>

#include "lucid/clock.h"
#include "net/server/http_life.h"
#include "net/server/http_share.h"

/* What evhtp's parser sees instead of each request. With HTTP/1.0 evhtp closes the connection unless told to keep it. */
static const char ONE_REQUEST[] = "GET / HTTP/1.0\r\n\r\n";

/* --- a request */

static void on_evhtp_request(evhtp_request_t *req, void *arg)
{
	struct http_server *s = arg;
	s->feeding->ev_req = req;
}

bool http_life_begin(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct evbuffer *in = bufferevent_get_input(s->feeder);
	c->ev_req = NULL;
	s->feeding = c;
	evbuffer_add(in, ONE_REQUEST, sizeof ONE_REQUEST - 1);
	s->evhtp_read(s->feeder, c->ev);
	s->feeding = NULL;
	if (!c->ev_req && c->state != CONN_DEAD) /* evhtp could not allocate the request */
		http_life_close(c);
	return c->state != CONN_DEAD;
}

void http_life_end(struct http_conn *c, bool keep)
{
	evhtp_request_t *req = c->ev_req;
	c->ev_req = NULL;
	evhtp_request_set_keepalive(req, keep);
	evhtp_send_reply_end(req);
	/* its "all is written" callback frees the request, and the connection unless it is kept */
	c->server->evhtp_write(c->bev, c->ev);
}

/* --- a connection */

void http_life_close(struct http_conn *c)
{
	evhtp_connection_free(c->ev);
}

void http_life_check_drained(struct http_server *s)
{
	if (!s->draining || !s->on_drained)
		return;
	if (!list_empty(&s->conns) && clock_mono_ms() < s->drain_by_ms)
		return;
	void (*done)(void *arg) = s->on_drained;
	s->on_drained = NULL;
	done(s->drained_arg);
}

void http_life_reap(struct http_server *s)
{
	struct list *n;
	while ((n = list_take_first(&s->dead)))
		http_conn_free(CONTAINER_OF(n, struct http_conn, node));
}

static void on_reap(struct loop_task *t)
{
	struct http_server *s = CONTAINER_OF(t, struct http_server, reap);
	http_life_reap(s);
	http_life_check_drained(s);
}

void http_life_bury(struct http_conn *c)
{
	if (!c->server) {
		http_conn_free(c);
		return;
	}
	list_append(&c->server->dead, &c->node);
	loop_defer(c->server->loop, &c->server->reap);
}

/* evhtp is about to free its connection, for whatever reason. */
static evhtp_res on_conn_fini(UNUSED evhtp_connection_t *ev, void *arg)
{
	struct http_conn *c = arg;
	struct http_server *s = c->server;
	bool streams = c->state == CONN_OPEN || c->state == CONN_PARTS || c->state == CONN_UPGRADED;
	const struct http_stream_events *events = TAKE_PTR(c->events);
	list_remove(&c->node);
	loop_undefer(&c->again);
	share_drop(s->shares, TAKE_PTR(c->share));
	if (c->over)
		s->n_over--;
	else
		s->n_conns--;
	http_conn_enter(c, CONN_DEAD);
	c->ev = NULL;
	c->ev_req = NULL;
	c->bev = NULL;
	if (streams) /* `gone` ends the request */
		c->req.pending = false;
	if (streams && events)
		events->gone(c->events_arg);
	if (!c->req.pending)
		http_life_bury(c);
	return EVHTP_RES_OK;
}

void http_life_init(struct http_server *s)
{
	list_init(&s->conns);
	list_init(&s->dead);
	loop_task_init(&s->reap, on_reap);
	s->feeder = bufferevent_socket_new(loop_base(s->loop), -1, 0);
	if (!s->feeder)
		abort();
	evbuffer_unfreeze(bufferevent_get_input(s->feeder), 0);
}

void http_life_serve(struct http_server *s, struct evhtp *htp)
{
	evhtp_set_gencb(htp, on_evhtp_request, s);
}

void http_life_watch(struct http_conn *c)
{
	bufferevent_getcb(c->bev, &c->server->evhtp_read, &c->server->evhtp_write, NULL, NULL);
	evhtp_connection_set_hook(c->ev, evhtp_hook_on_connection_fini, (evhtp_hook)(void *)on_conn_fini, c);
	list_append(&c->server->conns, &c->node);
}
