#include "net/server/http_secure.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "net/server/http_life.h"

#define DRAIN_ROUNDS 16 /* of 4 KiB, after a failed handshake */

static void secure_unref(UNUSED const void *data, UNUSED size_t len, void *blob)
{
	blob_unref(blob);
}

/* In pieces of one record: libevent passes each piece to OpenSSL as a whole and sees no progress within it. */
static void secure_queue(struct evbuffer *out, const char *data, size_t len, struct blob *blob)
{
	struct blob *own = blob ? blob_ref(blob) : blob_new(data, len);
	const char *at = blob ? data : own->data;
	while (len) {
		size_t n = MIN(len, (size_t)TLS_RECORD);
		evbuffer_add_reference(out, at, n, secure_unref, blob_ref(own));
		at += n;
		len -= n;
	}
	blob_unref(own);
}

void http_secure_send(struct http_conn *c, const char *head, size_t head_len, const char *body, size_t body_len,
		      struct blob *blob)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	char record[TLS_RECORD];
	if (head_len >= sizeof record) {
		secure_queue(out, head, head_len, NULL);
		head_len = 0;
	}
	size_t first = head_len ? MIN(body_len, sizeof record - head_len) : 0;
	if (head_len) {
		memcpy(record, head, head_len);
		if (first)
			memcpy(record + head_len, body, first);
		int r = c->shaken && evbuffer_get_length(out) == 0 ? tls_write(c->ssl, record, head_len + first) : 0;
		if (r < 0)
			c->broken = true;
		if (r == 0) /* in one piece: OpenSSL must get the same bytes again */
			evbuffer_add(out, record, head_len + first);
	}
	if (body_len > first && !c->broken)
		secure_queue(out, body + first, body_len - first, blob);
}

void http_secure_wake(struct http_conn *c)
{
	/* libevent stops at the watermark and then waits for the socket, but OpenSSL may have buffered the rest of a record */
	if (c->bev && c->shaken && tls_has_more(c->ssl))
		event_active(&c->bev->ev_read, EV_READ, 0);
}

void http_secure_write_on(struct http_conn *c)
{
	/* at the peer's close_notify libevent stops both directions, and queued output would never be sent */
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) > 0)
		bufferevent_enable(c->bev, EV_WRITE);
}

void http_secure_open(struct http_conn *c)
{
	c->shaken = true;
	if (c->state != CONN_IDLE)
		return;
	if (!c->server->draining)
		c->deadline_ms = 0; /* the deadline of the handshake; the idle timeout follows */
	else if (http_conn_is_idle(c)) /* one whose request is there is answered first */
		http_life_close(c);
}

void http_secure_failed(struct http_conn *c)
{
	char waste[4096];
	const char *reason = tls_reason(bufferevent_get_openssl_error(c->bev));
	log_debug("http", "TLS handshake with %s failed: %s", c->peer, reason ? reason : "connection lost");
	/* read what the client has sent: with unread input, close would send a reset, and the client might not see the alert */
	shutdown(c->fd, SHUT_WR);
	for (int i = 0; i < DRAIN_ROUNDS && recv(c->fd, waste, sizeof waste, MSG_DONTWAIT) > 0; i++)
		;
}
