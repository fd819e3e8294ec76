#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "net/http_conn.h"

#define DRAIN_ROUNDS 16 /* of 4 KiB, when a handshake failed */

static void unref_blob(UNUSED const void *data, UNUSED size_t len, void *blob)
{
	blob_unref(blob);
}

/* In pieces of a record: libevent hands each to OpenSSL whole and sees no progress within one. */
static void queue(struct evbuffer *out, const char *data, size_t len, struct blob *blob)
{
	struct blob *own = blob ? blob_ref(blob) : blob_new(data, len);
	const char *at = blob ? data : own->data;
	while (len) {
		size_t n = MIN(len, (size_t)TLS_RECORD);
		evbuffer_add_reference(out, at, n, unref_blob, blob_ref(own));
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
		queue(out, head, head_len, NULL);
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
		if (r == 0) /* in one piece: what OpenSSL has begun with it wants to see again */
			evbuffer_add(out, record, head_len + first);
	}
	if (body_len > first && !c->broken)
		queue(out, body + first, body_len - first, blob);
}

void http_secure_wake(struct http_conn *c)
{
	/* libevent stops at the watermark and then waits for the socket, though OpenSSL may hold the rest of a record */
	if (c->bev && c->shaken && tls_has_more(c->ssl))
		event_active(&c->bev->ev_read, EV_READ, 0);
}

void http_secure_open(struct http_conn *c)
{
	c->shaken = true;
	if (c->state == CONN_IDLE && !c->server->draining)
		c->deadline_ms = 0; /* from here on it is an idle connection like any other */
}

void http_secure_failed(struct http_conn *c)
{
	char waste[4096];
	const char *reason = tls_reason(bufferevent_get_openssl_error(c->bev));
	log_debug("http", "no TLS with %s: %s", c->peer, reason ? reason : "the connection broke");
	/* what it still sent is taken, or a reset would overtake the alert that says why */
	shutdown(c->fd, SHUT_WR);
	for (int i = 0; i < DRAIN_ROUNDS && recv(c->fd, waste, sizeof waste, MSG_DONTWAIT) > 0; i++)
		;
}
