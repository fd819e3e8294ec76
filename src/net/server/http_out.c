#include "net/server/http_out.h"

#include <errno.h>
#include <event2/buffer.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lucid/clock.h"
#include "net/server/http_secure.h"

const char *http_out_date(struct http_server *s)
{
	int64_t now = clock_wall_ms() / 1000;
	if (now != s->date_s) {
		s->date_s = now;
		http_date(s->date, now);
	}
	return s->date;
}

size_t http_out_waiting(const struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void out_unref(UNUSED const void *data, UNUSED size_t len, void *blob)
{
	blob_unref(blob);
}

void http_out_send(struct http_conn *c, const char *head, size_t head_len, const char *body, size_t body_len,
		   struct blob *blob)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t sent = 0;
	if (c->ssl) {
		http_secure_send(c, head, head_len, body, body_len, blob);
		return;
	}
	if (evbuffer_get_length(out) == 0) {
		struct iovec iov[2] = { { (void *)head, head_len }, { (void *)body, body_len } };
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = body_len ? 2 : 1 };
		ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			c->broken = true;
			return;
		}
		sent = n > 0 ? (size_t)n : 0;
	}
	if (sent < head_len) {
		if (blob && !body)
			evbuffer_add_reference(out, head + sent, head_len - sent, out_unref, blob_ref(blob));
		else
			evbuffer_add(out, head + sent, head_len - sent);
		sent = head_len;
	}
	size_t done = sent - head_len;
	if (done == body_len)
		return;
	if (blob)
		evbuffer_add_reference(out, body + done, body_len - done, out_unref, blob_ref(blob));
	else
		evbuffer_add(out, body + done, body_len - done);
}

void http_out_reply(struct http_conn *c, int status, const struct http_header *headers, size_t n, const char *body,
		    size_t len, struct blob *blob)
{
	bool bodyless = status == 204 || status == 304 || status < 200;
	struct http_wire w = {
		.status = status,
		.date = http_out_date(c->server),
		.with_length = !bodyless,
		.length = len,
		.connection = c->last ? "close" : c->req.head.http10 ? "keep-alive" : NULL,
		.headers = headers,
		.n_headers = n,
	};
	char stack[2048], *heap = NULL;
	size_t size = http_wire_size(&w);
	char *head = size <= sizeof stack ? stack : (heap = xmalloc(size));
	size_t head_len = http_wire_head(head, &w);
	if (bodyless || c->req.head.method == HTTP_HEAD)
		len = 0;
	http_out_send(c, head, head_len, body, len, blob);
	free(heap);
}

void http_out_shut(struct http_conn *c)
{
	if (c->shut)
		return;
	c->shut = true;
	if (c->ssl)
		tls_close_notify(c->ssl);
	shutdown(c->fd, SHUT_WR);
}
