/* http_stream: the answer that goes on: a head without a length, and bytes as they come. */
#include <event2/buffer.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lucid/clock.h"
#include "net/http_conn.h"

/* What the kernel may hold for a reader that does not read: less than it would give by itself, or a slow one is not noticed
 * for megabytes. */
#define KERNEL_BYTES 65536

static struct http_conn *conn_of(struct http_req *r)
{
	return CONTAINER_OF(r, struct http_conn, req);
}

static void send_head(struct http_conn *c, const struct http_header *headers, size_t n)
{
	struct http_wire w = { .status = 200,
			       .date = http_gate_date(c->server),
			       .chunked = c->chunked,
			       .connection = c->last ? "close" : NULL,
			       .headers = headers,
			       .n_headers = n };
	_cleanup_(xfreep) char *head = xmalloc(http_wire_size(&w));
	http_gate_send(c, head, http_wire_head(head, &w), NULL, 0, NULL);
}

/* It may last for hours, and there are many. */
static void begin_open(struct http_conn *c)
{
	int bytes = KERNEL_BYTES;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	http_gate_read_again(c);
	c->lingered = 0;
	/* of what was asked nothing is needed any more */
	free(TAKE_PTR(c->buf));
	c->buf_cap = 0;
}

bool http_stream_begin(struct http_req *r, enum http_stream_kind kind, const struct http_header *headers, size_t n,
		       const struct http_stream_events *events, void *arg)
{
	struct http_conn *c = conn_of(r);
	bool ends = kind == HTTP_STREAM_BODY;
	c->body = ends;
	c->chunked = ends && !r->head.http10;
	c->chunks = false;
	c->last |= !c->chunked || c->server->draining;
	if (c->state != CONN_BUSY || (c->server->draining && !ends) || r->head.method == HTTP_HEAD) {
		if (c->state == CONN_BUSY && !c->broken)
			send_head(c, headers, n);
		http_gate_finish(c);
		return false;
	}
	c->state = CONN_STREAM;
	c->deadline_ms = 0;
	c->events = events;
	c->events_arg = arg;
	if (!ends)
		begin_open(c);
	send_head(c, headers, n);
	c->out_left = evbuffer_get_length(bufferevent_get_output(c->bev));
	if (c->broken || (c->eof && http_stream_minds(c)))
		loop_defer(c->server->loop, &c->again);
	return true;
}

bool http_stream_write(struct http_req *r, struct blob *b, size_t max)
{
	struct http_conn *c = conn_of(r);
	char head[24];
	if (c->broken)
		return true; /* it will be said that the client is gone */
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) + b->len > max)
		return false;
	if (c->chunked) /* the end of a chunk's line goes with the next one */
		http_gate_send(c, head, (size_t)snprintf(head, sizeof head, "%s%zx\r\n", c->chunks ? "\r\n" : "", b->len), b->data, b->len, b);
	else
		http_gate_send(c, b->data, b->len, NULL, 0, b);
	c->chunks = true;
	if (c->broken)
		loop_defer(c->server->loop, &c->again);
	return true;
}

size_t http_stream_backlog(struct http_req *r)
{
	return evbuffer_get_length(bufferevent_get_output(conn_of(r)->bev));
}

void http_stream_end(struct http_req *r)
{
	static const char last[] = "\r\n0\r\n\r\n";
	struct http_conn *c = conn_of(r);
	c->events = NULL;
	loop_undefer(&c->again);
	if (c->chunked && !c->broken)
		http_gate_send(c, last + (c->chunks ? 0 : 2), sizeof last - 1 - (c->chunks ? 0 : 2), NULL, 0, NULL);
	http_gate_finish(c);
}

void http_stream_drop(struct http_req *r)
{
	struct http_conn *c = conn_of(r);
	c->events = NULL;
	http_server_close(c);
}

bool http_stream_minds(const struct http_conn *c)
{
	return !c->body || c->chunked;
}

void http_stream_gone(struct http_conn *c)
{
	const struct http_stream_events *events = TAKE_PTR(c->events);
	c->req.pending = false;
	if (events)
		events->gone(c->events_arg);
}

void http_stream_room(struct http_conn *c)
{
	if (c->events && c->events->room)
		c->events->room(c->events_arg);
}
