/* http_upgrade: connections upgraded to WebSocket. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/server/http_gate.h"
#include "net/server/http_intake.h"
#include "net/server/http_out.h"
#include "net/server/http_secure.h"
#include "net/server/websocket.h"

#define HEADERS_MAX 8 /* of the endpoint */
/* Unsent bytes in the kernel, so that a slow reader is detected soon. Unlike a small send buffer, this does not slow a fast reader. */
#define KERNEL_UNSENT 65536

static void upgrade_refuse(struct http_req *r, int status, const char *why)
{
	struct http_conn *c = http_conn_of(r);
	struct http_server *s = c->server;
	char id[HTTP_ID_SIZE] = "";
	_cleanup_(blob_unrefp) struct blob *body = s->refusal ? s->refusal(status, why, c->peer, id, s->arg) : NULL;
	/* RFC 9110 15.5.22 and RFC 6455 4.4: the supported protocol and version */
	const struct http_header headers[] = { { "Upgrade", "websocket" },
					       { "Connection", "Upgrade" },
					       { "Sec-WebSocket-Version", WEBSOCKET_VERSION },
					       { "Content-Type", "application/json" },
					       { "X-Request-ID", id } };
	size_t first = status == 426 ? 0 : 3;
	http_reply_blob(r, status, headers + first, (!body ? 3 : id[0] ? 5 : 4) - first, body);
}

static void upgrade_send_head(struct http_conn *c, const char *accept, const struct http_header *headers, size_t n)
{
	struct http_header all[HEADERS_MAX + 2] = { { "Upgrade", "websocket" }, { "Sec-WebSocket-Accept", accept } };
	if (n > HEADERS_MAX)
		abort();
	if (n)
		memcpy(all + 2, headers, n * sizeof *headers);
	struct http_wire w = { .status = 101,
			       .date = http_out_date(c->server),
			       .connection = "Upgrade",
			       .headers = all,
			       .n_headers = n + 2 };
	_cleanup_(xfreep) char *head = xmalloc(http_wire_size(&w));
	http_out_send(c, head, http_wire_head(head, &w), NULL, 0, NULL);
}

bool http_upgrade_websocket(struct http_req *r, const struct http_header *headers, size_t n, const struct http_upgrade_events *events,
			    void *arg)
{
	struct http_conn *c = http_conn_of(r);
	char accept[WEBSOCKET_ACCEPT_SIZE];
	const char *why = NULL;
	int unsent = KERNEL_UNSENT;
	if (c->state != CONN_BUSY) { /* the client has disconnected, or the server was freed */
		http_gate_finish(c);
		return false;
	}
	int status = c->server->draining ? 503 : websocket_check(r, r->head.http10, accept, &why);
	if (status) {
		upgrade_refuse(r, status, why ? why : "the server is stopping; connect again in a moment");
		return false;
	}
	upgrade_send_head(c, accept, headers, n);
	http_conn_enter(c, CONN_UPGRADED);
	c->handed = c->last = true;
	c->chunked = false;
	c->deadline_ms = 0;
	c->events = &events->stream;
	c->events_arg = arg;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
	http_intake_forget(c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_UPGRADE_IN);
	http_gate_read_again(c);
	c->out_left = http_out_waiting(c);
	http_gate_run_again(c); /* passes on what arrived after the head */
	return true;
}

ssize_t http_upgrade_read(struct http_req *r, void *dst, size_t size)
{
	struct http_conn *c = http_conn_of(r);
	int n = evbuffer_remove(bufferevent_get_input(c->bev), dst, size);
	if (n <= 0)
		return c->eof || c->broken ? -1 : 0;
	if (c->stopped)
		http_gate_read_again(c);
	else if (c->ssl)
		http_secure_wake(c);
	return n;
}
