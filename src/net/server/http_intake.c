#include "net/server/http_intake.h"

#include <event2/buffer.h>
#include <event2/event.h>

#include "lucid/clock.h"

#define BUF_FIRST 2048 /* initial size of a connection's request buffer */
#define BUF_KEEP 16384 /* a larger buffer is freed after the request */

static void intake_grow(struct http_conn *c, size_t n)
{
	if (n <= c->buf_cap)
		return;
	c->buf_cap = MAX(n, (size_t)BUF_FIRST);
	c->buf = xrealloc(c->buf, c->buf_cap);
}

void http_intake_room(struct http_conn *c, uint64_t body_len)
{
	size_t high = MAX(c->server->limits.max_head + 4, (size_t)body_len);
	bufferevent_setwatermark(c->bev, EV_READ, 0, high);
}

int http_intake_head(struct http_conn *c, const char **ret_why)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	const struct http_limits *lim = &c->server->limits;
	size_t len = evbuffer_get_length(in);
	char *p = (char *)evbuffer_pullup(in, -1);
	if (c->state == CONN_IDLE) {
		size_t blank = 0;
		while (len - blank >= 2 && p[blank] == '\r' && p[blank + 1] == '\n')
			blank += 2; /* RFC 9112 2.2: empty lines before a request are ignored */
		evbuffer_drain(in, blank);
		p += blank;
		len -= blank;
		if (len == 0 || (len == 1 && *p == '\r'))
			return INTAKE_EMPTY;
		c->scanned = 0;
		c->req.head.method = HTTP_OTHER; /* until it is known: a refusal must not use the method of the previous request */
	}
	size_t from = c->scanned > 3 ? c->scanned - 3 : 0;
	char *end = len > from ? memmem(p + from, len - from, "\r\n\r\n", 4) : NULL;
	size_t n = end ? (size_t)(end - p) + 4 : len;
	if (!end || n > lim->max_head) {
		int r = http_head_partial(p, c->scanned, n, lim->max_head, ret_why);
		c->scanned = len;
		return r ? r : INTAKE_PART;
	}
	intake_grow(c, n + 1);
	memcpy(c->buf, p, n);
	evbuffer_drain(in, n);
	int r = http_head_check(c->buf, n, lim->max_body, &c->req.head, ret_why);
	if (r)
		return r;
	c->body_at = n + 1;
	c->req.started_us = clock_mono_us();
	c->last = !c->req.head.keep_alive;
	return INTAKE_WHOLE;
}

bool http_intake_body(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t n = (size_t)c->req.head.body_len;
	if (evbuffer_get_length(in) < n)
		return false;
	intake_grow(c, c->body_at + n + 1);
	evbuffer_remove(in, c->buf + c->body_at, n);
	c->buf[c->body_at + n] = 0;
	return true;
}

void http_intake_shrink(struct http_conn *c)
{
	if (c->buf_cap > BUF_KEEP)
		http_intake_forget(c);
}

void http_intake_forget(struct http_conn *c)
{
	free(TAKE_PTR(c->buf));
	c->buf_cap = 0;
}
