/* http_stream: streamed replies: a head without a length, then data as it becomes available. */
#include <event2/buffer.h>
#include <stdio.h>
#include <sys/socket.h>

#include "net/server/http_gate.h"
#include "net/server/http_intake.h"
#include "net/server/http_life.h"
#include "net/server/http_out.h"

/* The kernel's send buffer. By default it grows to megabytes, and a client that does not read would be detected late. */
#define KERNEL_BYTES 65536

static void stream_send_head(struct http_conn *c, const struct http_header *headers, size_t n)
{
	struct http_wire w = { .status = 200,
			       .date = http_out_date(c->server),
			       .chunked = c->chunked,
			       .connection = c->last ? "close" : NULL,
			       .headers = headers,
			       .n_headers = n };
	_cleanup_(xfreep) char *head = xmalloc(http_wire_size(&w));
	http_out_send(c, head, http_wire_head(head, &w), NULL, 0, NULL);
}

/* There may be many such streams, which last for hours: keep their memory small. */
static void stream_open(struct http_conn *c)
{
	int bytes = KERNEL_BYTES;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	http_gate_read_again(c);
	c->discarded = 0;
	http_intake_forget(c);
}

bool http_stream_begin(struct http_req *r, enum http_stream_kind kind, const struct http_header *headers, size_t n,
		       const struct http_stream_events *events, void *arg)
{
	struct http_conn *c = http_conn_of(r);
	bool ends = kind == HTTP_STREAM_BODY;
	c->chunked = ends && !r->head.http10;
	c->chunks = false;
	c->last |= !c->chunked || c->server->draining;
	if (c->state != CONN_BUSY || (c->server->draining && !ends) || r->head.method == HTTP_HEAD) {
		if (c->state == CONN_BUSY && !c->broken)
			stream_send_head(c, headers, n);
		http_gate_finish(c);
		return false;
	}
	http_conn_enter(c, ends ? CONN_PARTS : CONN_OPEN);
	c->deadline_ms = 0;
	c->events = events;
	c->events_arg = arg;
	if (!ends)
		stream_open(c);
	stream_send_head(c, headers, n);
	c->out_left = http_out_waiting(c);
	if (c->broken || c->eof) /* on_gate_again ends the stream */
		http_gate_run_again(c);
	return true;
}

bool http_stream_write(struct http_req *r, struct blob *b, size_t max)
{
	struct http_conn *c = http_conn_of(r);
	char head[24];
	if (c->broken)
		return true; /* `gone` will be called */
	if (http_out_waiting(c) + b->len > max)
		return false;
	if (c->chunked) /* the CR LF after a chunk is sent together with the next chunk */
		http_out_send(c, head, (size_t)snprintf(head, sizeof head, "%s%zx\r\n", c->chunks ? "\r\n" : "", b->len), b->data, b->len, b);
	else
		http_out_send(c, b->data, b->len, NULL, 0, b);
	c->chunks = true;
	if (c->broken)
		http_gate_run_again(c);
	return true;
}

size_t http_stream_backlog(struct http_req *r)
{
	return http_out_waiting(http_conn_of(r));
}

void http_stream_end(struct http_req *r)
{
	static const char last[] = "\r\n0\r\n\r\n";
	struct http_conn *c = http_conn_of(r);
	c->events = NULL;
	loop_undefer(&c->again);
	if (c->chunked && !c->broken)
		http_out_send(c, last + (c->chunks ? 0 : 2), sizeof last - 1 - (c->chunks ? 0 : 2), NULL, 0, NULL);
	http_gate_finish(c);
}

void http_stream_drop(struct http_req *r)
{
	struct http_conn *c = http_conn_of(r);
	c->events = NULL;
	http_life_close(c);
}
