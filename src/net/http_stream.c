/* http_stream: the answer that goes on: a head without a length, and bytes as they come, until the connection is closed. */
#include <event2/buffer.h>
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
	struct http_wire w = {
		.status = 200, .date = http_gate_date(c->server), .connection = "close", .headers = headers, .n_headers = n
	};
	_cleanup_(xfreep) char *head = xmalloc(http_wire_size(&w));
	http_gate_send(c, head, http_wire_head(head, &w), NULL, 0, NULL);
}

bool http_stream_begin(struct http_req *r, const struct http_header *headers, size_t n, void (*on_gone)(void *arg), void *arg)
{
	struct http_conn *c = conn_of(r);
	int bytes = KERNEL_BYTES;
	if (c->state != CONN_BUSY || c->server->draining || r->head.method == HTTP_HEAD) {
		if (c->state == CONN_BUSY && !c->broken) {
			c->last = true;
			send_head(c, headers, n);
		}
		http_gate_finish(c);
		return false;
	}
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	c->last = true;
	c->state = CONN_STREAM;
	http_gate_read_again(c);
	c->deadline_ms = 0;
	c->lingered = 0;
	c->on_gone = on_gone;
	c->gone_arg = arg;
	send_head(c, headers, n);
	c->out_left = evbuffer_get_length(bufferevent_get_output(c->bev));
	/* of what was asked nothing is needed any more, and streams are many and stay long */
	free(TAKE_PTR(c->buf));
	c->buf_cap = 0;
	if (c->broken || c->eof)
		loop_defer(c->server->loop, &c->again);
	return true;
}

bool http_stream_write(struct http_req *r, struct blob *b, size_t max)
{
	struct http_conn *c = conn_of(r);
	if (c->broken)
		return true; /* it will be said that the client is gone */
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) + b->len > max)
		return false;
	http_gate_send(c, b->data, b->len, NULL, 0, b);
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
	struct http_conn *c = conn_of(r);
	c->on_gone = NULL;
	loop_undefer(&c->again);
	http_gate_finish(c);
}

void http_stream_drop(struct http_req *r)
{
	struct http_conn *c = conn_of(r);
	c->on_gone = NULL;
	http_server_close(c);
}

void http_stream_gone(struct http_conn *c)
{
	void (*fn)(void *arg) = TAKE_PTR(c->on_gone);
	c->req.pending = false;
	if (fn)
		fn(c->gone_arg);
}
