#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "net/http_conn.h"

#define BUF_FIRST 2048		/* bytes a connection holds for its request; more on demand */
#define BUF_KEEP 16384		/* more than this is given back after the request */
#define PUMP_MAX 32		/* pipelined requests a connection may have answered in one turn */
#define LINGER_MS 2000		/* how long a refused client may take to read why */
#define STREAM_BYTES 65536	/* what a client may send on while it hears a stream */
#define LINGER_BYTES (64 << 20) /* and how much it may still send meanwhile */

const char *http_gate_date(struct http_server *s)
{
	int64_t now = clock_wall_ms() / 1000;
	if (now != s->date_s) {
		s->date_s = now;
		http_date(s->date, now);
	}
	return s->date;
}

/* --- out */

static void settle(struct http_conn *c);

static struct evbuffer *output_of(struct http_conn *c)
{
	return bufferevent_get_output(c->bev);
}

static void unref_blob(UNUSED const void *data, UNUSED size_t len, void *blob)
{
	blob_unref(blob);
}

/* Straight to the socket where that can be: it saves arming the write event and two more turns. What does not fit goes
 * through the bufferevent. */
void http_gate_send(struct http_conn *c, const char *head, size_t head_len, const char *body, size_t body_len,
		    struct blob *blob)
{
	size_t sent = 0;
	if (c->ssl) {
		http_secure_send(c, head, head_len, body, body_len, blob);
		return;
	}
	if (evbuffer_get_length(output_of(c)) == 0) {
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
			evbuffer_add_reference(output_of(c), head + sent, head_len - sent, unref_blob, blob_ref(blob));
		else
			evbuffer_add(output_of(c), head + sent, head_len - sent);
		sent = head_len;
	}
	size_t done = sent - head_len;
	if (done == body_len)
		return;
	if (blob)
		evbuffer_add_reference(output_of(c), body + done, body_len - done, unref_blob, blob_ref(blob));
	else
		evbuffer_add(output_of(c), body + done, body_len - done);
}

static void send_reply(struct http_conn *c, int status, const struct http_header *headers, size_t n, const char *body,
		       size_t len, struct blob *blob)
{
	bool bodyless = status == 204 || status == 304 || status < 200;
	struct http_wire w = {
		.status = status,
		.date = http_gate_date(c->server),
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
	http_gate_send(c, head, head_len, body, len, blob);
	free(heap);
}

/* Nothing more comes from us. */
static void shut(struct http_conn *c)
{
	if (c->shut)
		return;
	c->shut = true;
	if (c->ssl)
		tls_close_notify(c->ssl);
	shutdown(c->fd, SHUT_WR);
}

void http_gate_read_again(struct http_conn *c)
{
	if (!c->stopped)
		return;
	c->stopped = false;
	bufferevent_enable(c->bev, EV_READ);
	if (c->ssl)
		http_secure_wake(c);
}

static void linger(struct http_conn *c)
{
	http_gate_read_again(c);
	c->state = CONN_LINGER;
	c->deadline_ms = clock_mono_ms() + LINGER_MS;
	c->lingered = 0;
	evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
	if (evbuffer_get_length(output_of(c)) == 0)
		shut(c);
}

void http_gate_refuse(struct http_conn *c, int status, const char *why)
{
	struct http_server *s = c->server;
	char id[HTTP_ID_SIZE] = "";
	const struct http_header headers[] = { { "Content-Type", "application/json" }, { "X-Request-ID", id } };
	_cleanup_(blob_unrefp) struct blob *body = s->refusal ? s->refusal(status, why, c->peer, id, s->arg) : NULL;
	log_debug("http", "refused %s: %d, %s", c->peer, status, why);
	c->last = true;
	send_reply(c, status, headers, !body ? 0 : id[0] ? 2 : 1, body ? body->data : NULL, body ? body->len : 0, body);
	if (c->broken || (c->eof && evbuffer_get_length(output_of(c)) == 0))
		http_server_close(c);
	else
		linger(c);
}

static void gate_refuse_counted(struct http_conn *c, int status, const char *why)
{
	c->server->refused++;
	http_gate_refuse(c, status, why);
}

static void reply(struct http_req *r, int status, const struct http_header *headers, size_t n, const char *body,
		  size_t len, struct blob *blob)
{
	struct http_conn *c = CONTAINER_OF(r, struct http_conn, req);
	if (!r->pending)
		abort(); /* a second answer to one request */
	if (c->state == CONN_DEAD) { /* the client, or the whole server, is gone */
		http_gate_finish(c);
		return;
	}
	c->last |= c->server->draining;
	if (!c->broken)
		send_reply(c, status, headers, n, body, len, blob);
	http_gate_finish(c);
}

void http_gate_finish(struct http_conn *c)
{
	c->req.pending = false;
	if (c->state == CONN_DEAD) {
		http_server_bury(c);
		return;
	}
	c->state = CONN_WRITE;
	c->out_left = evbuffer_get_length(output_of(c));
	c->deadline_ms = 0;
	if (c->pumping)
		return; /* the pump settles it: we are inside its call of the handler */
	if (c->broken)
		http_server_close(c);
	else if (c->out_left == 0)
		settle(c);
}

void http_reply(struct http_req *r, int status, const struct http_header *headers, size_t n, const void *body,
		size_t len)
{
	reply(r, status, headers, n, body, len, NULL);
}

void http_reply_blob(struct http_req *r, int status, const struct http_header *headers, size_t n, struct blob *body)
{
	reply(r, status, headers, n, body ? body->data : NULL, body ? body->len : 0, body);
}

/* The reply has left completely: on to the next request, or good-bye. */
static void settle(struct http_conn *c)
{
	bool more = evbuffer_get_length(bufferevent_get_input(c->bev)) > 0;
	if (c->buf_cap > BUF_KEEP) {
		free(c->buf);
		c->buf = NULL;
		c->buf_cap = 0;
	}
	if (c->last || c->server->draining || (c->eof && !more)) {
		if (more && !c->eof)
			linger(c);
		else
			http_server_end(c, false);
		return;
	}
	http_server_end(c, true);
	if (c->state == CONN_DEAD)
		return;
	c->state = CONN_IDLE;
	c->deadline_ms = 0;
	http_gate_read_again(c);
	if (more && !c->pumping)
		loop_defer(c->server->loop, &c->again);
}

/* --- in */

static void need(struct http_conn *c, size_t n)
{
	if (n <= c->buf_cap)
		return;
	c->buf_cap = MAX(n, (size_t)BUF_FIRST);
	c->buf = xrealloc(c->buf, c->buf_cap);
}

/* The input may hold a head, or the body that is expected, and no more: reading stops there. */
static void set_room(struct http_conn *c, uint64_t body_len)
{
	size_t high = MAX(c->server->limits.max_head + 4, (size_t)body_len);
	bufferevent_setwatermark(c->bev, EV_READ, 0, high);
}

/* True: the whole head is in c->buf, checked. False: not yet, or refused. */
static bool take_head(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	const struct http_limits *lim = &c->server->limits;
	const char *why = NULL;
	size_t len = evbuffer_get_length(in);
	char *p = (char *)evbuffer_pullup(in, -1);
	if (c->state == CONN_IDLE) {
		size_t blank = 0;
		while (len - blank >= 2 && p[blank] == '\r' && p[blank + 1] == '\n')
			blank += 2; /* RFC 9112 2.2: empty lines before a request are overlooked */
		evbuffer_drain(in, blank);
		p += blank;
		len -= blank;
		if (len == 0 || (len == 1 && *p == '\r'))
			return false;
		c->scanned = 0;
		c->req.head.method = HTTP_OTHER; /* until it is known: a refusal must not take the last one's */
	}
	size_t from = c->scanned > 3 ? c->scanned - 3 : 0;
	char *end = len > from ? memmem(p + from, len - from, "\r\n\r\n", 4) : NULL;
	size_t n = end ? (size_t)(end - p) + 4 : len;
	if (!end || n > lim->max_head) {
		int r = http_head_partial(p, c->scanned, n, lim->max_head, &why);
		c->scanned = len;
		if (r) {
			gate_refuse_counted(c, r, why);
		} else if (c->state == CONN_IDLE) {
			c->state = CONN_HEAD;
			c->deadline_ms = clock_mono_ms() + (int64_t)lim->head_timeout_s * 1000;
		}
		return false;
	}
	need(c, n + 1);
	memcpy(c->buf, p, n);
	evbuffer_drain(in, n);
	int r = http_head_check(c->buf, n, lim->max_body, &c->req.head, &why);
	if (r) {
		gate_refuse_counted(c, r, why);
		return false;
	}
	c->body_at = n + 1;
	c->req.started_us = clock_mono_us();
	c->last = !c->req.head.keep_alive;
	return true;
}

/* The head is good and its body is not here yet: ask for it if the client waits for that. */
static void await_body(struct http_conn *c)
{
	static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
	c->state = CONN_BODY;
	c->deadline_ms = c->req.started_us / 1000 + (int64_t)c->server->limits.body_timeout_s * 1000;
	set_room(c, c->req.head.body_len);
	if (c->req.head.expect_continue && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
		http_gate_send(c, CONTINUE, sizeof CONTINUE - 1, NULL, 0, NULL);
}

static bool take_body(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t n = (size_t)c->req.head.body_len;
	if (evbuffer_get_length(in) < n) {
		if (c->state != CONN_BODY)
			await_body(c);
		return false;
	}
	need(c, c->body_at + n + 1);
	evbuffer_remove(in, c->buf + c->body_at, n);
	c->buf[c->body_at + n] = 0;
	if (c->state == CONN_BODY)
		set_room(c, 0);
	return true;
}

/* One step; true when another may follow at once. */
static bool advance(struct http_conn *c)
{
	if (evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
		return false;
	if (c->state != CONN_BODY && !take_head(c))
		return false;
	if (c->req.head.body_len && !take_body(c)) {
		if (c->broken)
			http_server_close(c);
		return false;
	}
	c->state = CONN_BUSY;
	c->deadline_ms = 0;
	if (!http_server_begin(c))
		return false;
	memset(c->req.state, 0, sizeof c->req.state);
	c->req.pending = true;
	c->server->handler(&c->req, c->server->arg);
	if (c->state != CONN_WRITE)
		return false; /* it answers later */
	if (c->broken)
		http_server_close(c);
	else if (c->out_left == 0)
		settle(c);
	return c->state == CONN_IDLE;
}

void http_gate_pump(struct http_conn *c)
{
	unsigned n = 0;
	if (c->state > CONN_BODY)
		return;
	c->pumping = true;
	while (n < PUMP_MAX && advance(c))
		n++;
	c->pumping = false;
	if (n == PUMP_MAX)
		loop_defer(c->server->loop, &c->again);
	else if (c->eof && c->state <= CONN_BODY)
		http_server_close(c); /* what is missing will not come */
	if (c->ssl && c->state != CONN_DEAD)
		http_secure_wake(c);
}

static void on_again(struct loop_task *t)
{
	struct http_conn *c = CONTAINER_OF(t, struct http_conn, again);
	if (c->state == CONN_STREAM)
		http_server_close(c); /* the client was found gone while writing */
	else
		http_gate_pump(c);
}

static void on_readable(UNUSED struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;
	if (c->state == CONN_BUSY || c->state == CONN_WRITE || (c->state == CONN_STREAM && c->body)) {
		/* the next request can wait; left enabled, libevent calls again and again while the input is full */
		c->stopped = true;
		bufferevent_disable(c->bev, EV_READ);
		return;
	}
	if (c->state != CONN_LINGER && c->state != CONN_STREAM) {
		http_gate_pump(c);
		return;
	}
	struct evbuffer *in = bufferevent_get_input(c->bev);
	c->lingered += evbuffer_get_length(in);
	evbuffer_drain(in, SIZE_MAX);
	if (c->lingered > (c->state == CONN_STREAM ? STREAM_BYTES : LINGER_BYTES))
		http_server_close(c);
	else if (c->ssl)
		http_secure_wake(c);
}

static void on_written(UNUSED struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;
	if (evbuffer_get_length(output_of(c)) > 0)
		return;
	if (c->state == CONN_WRITE) {
		settle(c);
	} else if (c->state == CONN_STREAM) {
		http_stream_room(c);
	} else if (c->state == CONN_LINGER && c->eof) {
		http_server_close(c);
	} else if (c->state == CONN_LINGER) {
		shut(c);
	}
}

static void on_event(UNUSED struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;
	if (what & BEV_EVENT_CONNECTED) {
		http_secure_open(c);
		return;
	}
	if (c->ssl && !c->shaken && what & BEV_EVENT_ERROR)
		http_secure_failed(c);
	if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)))
		return;
	/* one call may bring both: the end of what is read, and that nothing can be written */
	c->eof |= (what & BEV_EVENT_EOF) != 0;
	c->broken |= (what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0;
	/* a request that the handler has is answered all the same: the client may have closed its sending side only */
	bool answering = c->state == CONN_WRITE || (c->state == CONN_STREAM && !http_stream_minds(c));
	if (c->state == CONN_BUSY || (answering && !c->broken))
		return;
	if (c->state <= CONN_BODY && !c->broken && !list_empty(&c->again.node))
		return; /* whole requests still lie in the input */
	if (c->state == CONN_LINGER && !c->broken && evbuffer_get_length(output_of(c)) > 0)
		return; /* the refusal is still leaving */
	http_server_close(c);
}

void http_gate_open(struct http_conn *c)
{
	loop_task_init(&c->again, on_again);
	c->state = CONN_IDLE;
	bufferevent_setcb(c->bev, on_readable, on_written, on_event, c);
	set_room(c, 0);
	if (c->ssl) /* also absolute: no drip of a handshake holds it open */
		c->deadline_ms = clock_mono_ms() + (int64_t)c->server->limits.head_timeout_s * 1000;
}

void http_gate_expire(struct http_conn *c, int64_t now_ms)
{
	int64_t idle_ms = (int64_t)c->server->limits.idle_timeout_s * 1000;
	if (c->state == CONN_WRITE || c->state == CONN_STREAM) { /* a client that reads keeps its connection, however slowly */
		size_t left = evbuffer_get_length(output_of(c));
		if (left != c->out_left)
			c->deadline_ms = 0;
		if (!left && c->state == CONN_STREAM)
			c->deadline_ms = 0; /* it has read all there was */
		c->out_left = left;
	}
	if (c->deadline_ms == 0) {
		if (c->state == CONN_IDLE || c->state == CONN_WRITE || (c->state == CONN_STREAM && c->out_left))
			c->deadline_ms = now_ms + idle_ms;
		return;
	}
	if (now_ms < c->deadline_ms)
		return;
	if (c->state == CONN_HEAD)
		gate_refuse_counted(c, 408, "the head took too long to arrive");
	else if (c->state == CONN_BODY)
		gate_refuse_counted(c, 408, "the body took too long to arrive");
	else if (c->state != CONN_BUSY)
		http_server_close(c);
}

/* --- what the handler sees */

static const struct http_conn *conn_of(const struct http_req *r)
{
	return CONTAINER_OF(r, struct http_conn, req);
}

enum http_method http_req_method(const struct http_req *r)
{
	return r->head.method;
}

const char *http_req_path(const struct http_req *r)
{
	return conn_of(r)->buf + r->head.path;
}

const char *http_req_query(const struct http_req *r)
{
	return r->head.query ? conn_of(r)->buf + r->head.query : NULL;
}

const char *http_req_header(const struct http_req *r, const char *name, bool *ret_again)
{
	return http_head_find(&r->head, conn_of(r)->buf, name, ret_again);
}

const char *http_req_body(const struct http_req *r, size_t *ret_len)
{
	*ret_len = (size_t)r->head.body_len;
	return r->head.body_len ? conn_of(r)->buf + conn_of(r)->body_at : NULL;
}

const char *http_req_peer(const struct http_req *r)
{
	return conn_of(r)->peer;
}

int http_req_tag(const struct http_req *r)
{
	return conn_of(r)->tag;
}

int64_t http_req_started_us(const struct http_req *r)
{
	return r->started_us;
}

void *http_req_state(struct http_req *r)
{
	return r->state;
}
