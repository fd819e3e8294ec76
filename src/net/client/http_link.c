#include "net/client/http_link.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lucid/str.h"

#define GREEDY_BYTES 65536

static void link_lose(struct link *k, const char *why)
{
	if (k->lost)
		return;
	k->lost = true;
	if (!k->why[0])
		str_copy(k->why, sizeof k->why, why);
	bufferevent_disable(k->bev, EV_READ | EV_WRITE);
	k->events->lost(k, k->arg);
}

/* Send without Nagle's delay, and detect a peer that vanished without closing, both while sending and while waiting. */
static void set_up(struct link *k)
{
	static const struct {
		int level, name, value;
	} options[] = { { IPPROTO_TCP, TCP_NODELAY, 1 },   { SOL_SOCKET, SO_KEEPALIVE, 1 },  { IPPROTO_TCP, TCP_KEEPIDLE, 10 },
			{ IPPROTO_TCP, TCP_KEEPINTVL, 5 }, { IPPROTO_TCP, TCP_KEEPCNT, 2 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 10000 } };
	for (size_t i = 0; k->origin.scheme != HTTP_LOCAL && i < ARRAY_LEN(options); i++)
		(void)setsockopt(bufferevent_getfd(k->bev), options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static void on_dial_late(void *arg)
{
	link_lose(arg, "timed out connecting");
}

/* --- out */

static void send_request(struct link *k)
{
	if (!k->up || !evbuffer_get_length(k->request))
		return;
	/* with TLS, records may be sent before on_output sees any bytes leave the buffer */
	k->sent |= k->ssl != NULL;
	evbuffer_add_buffer(bufferevent_get_output(k->bev), k->request);
}

/* Bytes that left the output buffer have been given to the kernel. */
static void on_output(UNUSED struct evbuffer *b, const struct evbuffer_cb_info *info, void *arg)
{
	struct link *k = arg;
	if (k->busy && info->n_deleted)
		k->sent = true;
}

void link_ask(struct link *k, struct evbuffer *request, bool bodyless, size_t max_body)
{
	http_answer_done(&k->answer);
	http_answer_init(&k->answer, bodyless, max_body);
	k->busy = true;
	k->sent = false;
	evbuffer_add_buffer(k->request, request);
	send_request(k);
}

/* --- in */

static void link_judge(struct link *k)
{
	if (k->answer.part == ANSWER_BAD) {
		link_lose(k, k->answer.why);
	} else if (k->answer.part == ANSWER_DONE) {
		k->busy = false;
		k->events->answer(k, k->arg);
	}
}

/* libevent reads 4 KiB a turn, which is slow for a long response: read more directly. End of stream and errors are left to libevent, which
 * sees them again. */
static void read_on(struct link *k)
{
	struct evbuffer_iovec v;
	int fd = bufferevent_getfd(k->bev), there = 0;
	if (ioctl(fd, FIONREAD, &there) < 0 || there <= 0 || evbuffer_reserve_space(k->extra, MIN(there, GREEDY_BYTES), &v, 1) < 1)
		return;
	ssize_t n = recv(fd, v.iov_base, v.iov_len, MSG_DONTWAIT);
	v.iov_len = n > 0 ? (size_t)n : 0;
	evbuffer_commit_space(k->extra, &v, 1);
}

static void link_feed(struct link *k)
{
	struct evbuffer *in = bufferevent_get_input(k->bev);
	if (!k->greedy || k->ssl) {
		http_answer_feed(&k->answer, in);
		return;
	}
	evbuffer_add_buffer(k->extra, in); /* after what the parser has left there: an incomplete line */
	read_on(k);
	http_answer_feed(&k->answer, k->extra);
}

static void on_readable(UNUSED struct bufferevent *bev, void *arg)
{
	struct link *k = arg;
	if (k->lost)
		return;
	if (!k->busy) {
		link_lose(k, "the peer sent data without a request");
		return;
	}
	link_feed(k);
	if (k->answer.part > ANSWER_HEAD && k->answer.part < ANSWER_DONE && k->events->more)
		k->events->more(k, k->arg);
	else
		link_judge(k);
}

static void on_link_again(struct loop_task *t)
{
	struct link *k = CONTAINER_OF(t, struct link, again);
	if (k->lost || k->held)
		return;
	if (evbuffer_get_length(bufferevent_get_input(k->bev)) > 0)
		on_readable(k->bev, k);
	/* libevent waits for the socket, but OpenSSL may have buffered the rest of a record */
	if (k->ssl && !k->lost && tls_has_more(k->ssl))
		event_active(&k->bev->ev_read, EV_READ, 0);
}

void link_hold(struct link *k, bool hold)
{
	if (k->held == hold || k->lost)
		return;
	k->held = hold;
	if (hold) {
		bufferevent_disable(k->bev, EV_READ);
		return;
	}
	bufferevent_enable(k->bev, EV_READ);
	loop_defer(k->loop, &k->again);
}

static void on_ended(struct link *k)
{
	if (k->busy) {
		link_feed(k);
		http_answer_end(&k->answer);
		k->answer.keep = false;
		link_judge(k);
	}
	link_lose(k, "the peer closed the connection");
}

static void link_explain(struct link *k, int err)
{
	const char *tls = k->ssl ? tls_reason(bufferevent_get_openssl_error(k->bev)) : NULL;
	int dns = bufferevent_socket_get_dns_error(k->bev);
	const char *distrust = k->ssl ? tls_distrust(k->ssl) : NULL;
	if (dns)
		snprintf(k->why, sizeof k->why, "its host name cannot be resolved: %s", evutil_gai_strerror(dns));
	else if (distrust && !k->up)
		snprintf(k->why, sizeof k->why, "its certificate is not trusted: %s", distrust);
	else if (tls)
		snprintf(k->why, sizeof k->why, "TLS failed: %s", tls);
	else if (!k->up)
		snprintf(k->why, sizeof k->why, "connection refused%s%s", err ? ": " : "", err ? strerror(err) : "");
	else
		snprintf(k->why, sizeof k->why, "connection lost%s%s", err ? ": " : "", err ? strerror(err) : "");
}

static void on_link_event(UNUSED struct bufferevent *bev, short what, void *arg)
{
	struct link *k = arg;
	int err = errno;
	if (k->lost)
		return;
	if (what & BEV_EVENT_CONNECTED) {
		set_up(k);
		k->up = true;
		loop_timer_clear(k->dialling);
		send_request(k);
	} else if (what & BEV_EVENT_EOF) {
		on_ended(k);
	} else {
		link_explain(k, what & BEV_EVENT_ERROR ? err : 0);
		link_lose(k, "");
	}
}

bool link_is_gone(const struct link *k)
{
	char c;
	int fd = bufferevent_getfd(k->bev);
	return k->lost || (k->up && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}

bool link_may_stay(const struct link *k)
{
	return !k->lost && k->answer.keep && evbuffer_get_length(bufferevent_get_input(k->bev)) == 0 && evbuffer_get_length(k->extra) == 0;
}

/* --- life */

static int dial_socket(struct link *k)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	str_copy(sa.sun_path, sizeof sa.sun_path, k->origin.host);
	return bufferevent_socket_connect(k->bev, (struct sockaddr *)&sa, sizeof sa);
}

/* An immediate failure is reported from the loop as well. */
static void link_dial(struct link *k, struct evdns_base *dns)
{
	int r = k->origin.scheme == HTTP_LOCAL
			? dial_socket(k)
			: bufferevent_socket_connect_hostname(k->bev, dns, AF_UNSPEC, k->origin.host, k->origin.port);
	if (r == 0) {
		if (bufferevent_getfd(k->bev) >= 0)
			set_up(k); /* before the handshake, whose last message is sent together with the request */
		return;
	}
	snprintf(k->why, sizeof k->why, "connection refused: %s", strerror(errno));
	bufferevent_trigger_event(k->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

struct link *link_new(struct loop *l, struct evdns_base *dns, struct ssl_ctx_st *tls, const struct http_url *origin,
		      const struct link_events *events, void *arg)
{
	const int flags = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
	struct link *k = XNEW(struct link);
	list_init(&k->node);
	k->loop = l;
	loop_task_init(&k->again, on_link_again);
	k->origin = *origin;
	k->origin.path = "";
	k->events = events;
	k->arg = arg;
	k->request = evbuffer_new();
	k->extra = evbuffer_new();
	if (origin->scheme == HTTP_SECURE) {
		k->ssl = tls_client_session(tls, origin->host);
		k->bev = bufferevent_openssl_socket_new(loop_base(l), -1, k->ssl, BUFFEREVENT_SSL_CONNECTING, flags);
	} else {
		k->bev = bufferevent_socket_new(loop_base(l), -1, flags);
	}
	if (!k->bev || !k->request || !k->extra)
		abort(); /* no memory */
	evbuffer_add_cb(bufferevent_get_output(k->bev), on_output, k);
	bufferevent_setcb(k->bev, on_readable, NULL, on_link_event, k);
	bufferevent_enable(k->bev, EV_READ | EV_WRITE);
	k->dialling = loop_timer_new(l, on_dial_late, k);
	loop_timer_set(k->dialling, LINK_DIAL_MS);
	link_dial(k, dns);
	return k;
}

void link_free(struct link *k)
{
	list_remove(&k->node);
	loop_undefer(&k->again);
	loop_timer_free(k->dialling);
	if (k->ssl && k->up)
		tls_close_notify(k->ssl);
	shutdown(bufferevent_getfd(k->bev), SHUT_RDWR); /* libevent closes the descriptor only in a later turn */
	bufferevent_free(k->bev);
	evbuffer_free(k->request);
	evbuffer_free(k->extra);
	http_answer_done(&k->answer);
	free(k);
}
