#include "net/server/evhtp.h"

#include <errno.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/log.h"
#include "net/server/http_crowd.h"
#include "net/server/http_gate.h"
#include "net/server/http_life.h"
#include "sys/accept.h"

#define SWEEP_MS 250	    /* resolution of deadlines */
#define SHED_AFTER_MS 1000 /* without free descriptors for this long, connections in the backlog get 503 and are closed */
#define SHED_MAX 64	    /* of each listener at a time */
#define STARVED_LOG_MS 10000 /* between two log lines about missing descriptors */
#define OVER_MAX 64	    /* connections beyond the limit that are open to receive a 503; further ones are closed at once */
#define BACKLOG 1024

struct listener {
	struct list node;
	struct http_server *server;
	evhtp_t *htp;
	int tag;
	bool secure;
};

static const char FULL[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/* Called before evhtp creates a connection; a result other than OK closes the socket. */
static evhtp_res on_pre_accept(evhtp_connection_t *ev, void *arg)
{
	struct listener *l = arg;
	struct http_server *s = l->server;
	s->starving_ms = 0;
	fcntl(ev->sock, F_SETFD, FD_CLOEXEC); /* evhtp does not */
	if (l->secure && !l->htp->ssl_ctx)
		return EVHTP_RES_ERROR;
	if (http_crowd_is_full_for(s, ev->saddr))
		http_crowd_make_room(s, ev->saddr);
	if ((!http_crowd_is_full(s) && !http_crowd_is_full_for(s, ev->saddr)) || s->n_over < OVER_MAX)
		return EVHTP_RES_OK;
	s->capped++;
	if (!l->secure && send(ev->sock, FULL, sizeof FULL - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		shutdown(ev->sock, SHUT_WR);
	return EVHTP_RES_ERROR;
}

static evhtp_res on_post_accept(evhtp_connection_t *ev, void *arg)
{
	struct listener *l = arg;
	struct http_server *s = l->server;
	struct http_conn *c = XNEW(struct http_conn);
	c->server = s;
	c->ev = ev;
	c->bev = ev->bev;
	c->fd = ev->sock;
	c->ssl = ev->ssl;
	c->tag = l->tag;
	bool crowded = http_crowd_is_full_for(s, ev->saddr), over = crowded || http_crowd_is_full(s);
	http_conn_peer(c->peer, ev->saddr);
	http_life_watch(c);
	http_gate_open(c);
	http_crowd_join(c, ev->saddr, over);
	if (!loop_timer_pending(s->sweep))
		loop_timer_set(s->sweep, SWEEP_MS);
	if (over)
		http_gate_refuse(c, 503, crowded ? "too many connections are open from this address; close some, or retry in a few seconds" :
						   "too many connections are open; retry in a few seconds");
	return EVHTP_RES_OK;
}

static void on_sweep(void *arg)
{
	struct http_server *s = arg;
	struct http_conn *c, *tmp;
	int64_t now_ms = clock_mono_ms();
	LIST_FOREACH_SAFE(c, tmp, &s->conns, node)
		http_gate_expire(c, now_ms);
	http_crowd_trim(s);
	if (!list_empty(&s->conns))
		loop_timer_set(s->sweep, SWEEP_MS);
	http_life_check_drained(s);
}

/* --- listeners */

static void on_accept_again(void *arg)
{
	struct http_server *s = arg;
	struct listener *l;
	LIST_FOREACH(l, &s->listeners, node)
		if (l->htp->server)
			evconnlistener_enable(l->htp->server);
}

/* Refuses the connections in the backlog, whose clients would otherwise wait although no descriptor becomes free. */
static void backlog_shed(struct http_server *s)
{
	struct listener *l;
	LIST_FOREACH(l, &s->listeners, node)
		if (l->htp->server)
			s->capped += accept_shed(&s->accept_reserve, evconnlistener_get_fd(l->htp->server), SHED_MAX, l->secure ? NULL : FULL);
}

/* Without free descriptors the connection stays in the backlog, and libevent would retry accept in a busy loop: pause accepting. */
static void on_accept_error(UNUSED struct evconnlistener *ls, void *arg)
{
	struct http_server *s = ((evhtp_t *)arg)->arg; /* evhtp's listener, so evhtp's argument */
	struct listener *l;
	int err = errno;
	if (loop_timer_pending(s->accept_again))
		return;
	int64_t now_ms = clock_mono_ms();
	if (!s->starving_ms)
		s->starving_ms = now_ms;
	else if (accept_is_starved(err) && now_ms - s->starving_ms >= SHED_AFTER_MS)
		backlog_shed(s);
	if (!s->starved_ms || now_ms - s->starved_ms > STARVED_LOG_MS) {
		s->starved_ms = now_ms;
		log_error("http", "cannot accept connections: %s; raise the limit on open files (LimitNOFILE)",
			  strerror(err));
	}
	LIST_FOREACH(l, &s->listeners, node)
		if (l->htp->server)
			evconnlistener_disable(l->htp->server);
	loop_timer_set(s->accept_again, ACCEPT_PAUSE_MS);
}

void http_server_exempt(struct http_server *s, http_exempt exempt)
{
	s->exempt = exempt;
}

void http_server_body_timeout(struct http_server *s, unsigned seconds)
{
	s->limits.body_timeout_s = seconds;
}

struct http_server *http_server_new(struct loop *l, const struct http_limits *limits, http_handler handler,
				    http_refusal refusal, void *arg)
{
	struct http_server *s = XNEW(struct http_server);
	signal(SIGPIPE, SIG_IGN);
	s->loop = l;
	s->limits = *limits;
	if (!s->limits.linger_timeout_s)
		s->limits.linger_timeout_s = HTTP_LINGER_S;
	s->handler = handler;
	s->refusal = refusal;
	s->arg = arg;
	s->date_s = -1;
	s->accept_reserve = accept_reserve();
	list_init(&s->listeners);
	http_crowd_init(s);
	http_life_init(s);
	s->sweep = loop_timer_new(l, on_sweep, s);
	s->accept_again = loop_timer_new(l, on_accept_again, s);
	return s;
}

static int make_listening(int fd)
{
	int on = 1, listening = 0;
	socklen_t len = sizeof listening;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || (!listening && listen(fd, BACKLOG) < 0))
		return -errno;
	if (evutil_make_socket_nonblocking(fd) < 0) /* systemd passes blocking ones, which would hold the loop */
		return -errno;
	/* accepted sockets inherit it; fails for a Unix socket */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return 0;
}

static bool is_unix(int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof sa;
	return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.ss_family == AF_UNIX;
}

static void use_tls(struct listener *l)
{
	SSL_CTX *old = l->htp->ssl_ctx; /* evhtp frees its context in evhtp_free */
	l->htp->ssl_ctx = tls_ref(l->server->tls);
	tls_unref(old);
}

int http_server_tls(struct http_server *s, const struct http_tls *t, char *why, size_t size)
{
	struct listener *l;
	struct ssl_ctx_st *ctx = tls_server_new(t, why, size);
	if (!ctx)
		return -ERR_INVALID;
	tls_unref(s->tls);
	s->tls = ctx;
	LIST_FOREACH(l, &s->listeners, node)
		if (l->secure)
			use_tls(l);
	return 0;
}

int http_server_listen(struct http_server *s, int fd, int tag, bool secure)
{
	int r = make_listening(fd);
	int own = r ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0); /* evhtp closes its descriptor */
	if (own < 0) {
		log_error("http", "cannot listen on descriptor %d: %s", fd, strerror(r ? -r : errno));
		return -ERR_UNAVAILABLE;
	}
	struct listener *l = XNEW(struct listener);
	l->server = s;
	l->tag = tag;
	l->secure = secure && !is_unix(fd);
	l->htp = evhtp_new(loop_base(s->loop), s);
	if (!l->htp || evhtp_accept_socket(l->htp, own, 0) < 0)
		abort(); /* no memory */
	http_life_serve(s, l->htp);
	evhtp_set_pre_accept_cb(l->htp, on_pre_accept, l);
	evhtp_set_post_accept_cb(l->htp, on_post_accept, l);
	l->htp->flags &= (uint16_t)~EVHTP_FLAG_ENABLE_100_CONT; /* the gate decides */
	evconnlistener_set_error_cb(l->htp->server, on_accept_error);
	if (l->secure)
		use_tls(l);
	list_append(&s->listeners, &l->node);
	return 0;
}

static void stop_accepting(struct http_server *s)
{
	struct listener *l;
	LIST_FOREACH(l, &s->listeners, node)
		evhtp_unbind_socket(l->htp);
	loop_timer_clear(s->accept_again);
}

void http_server_drain(struct http_server *s, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	struct http_conn *c, *tmp;
	s->draining = true;
	s->drain_by_ms = clock_mono_ms() + grace_ms;
	s->on_drained = done;
	s->drained_arg = arg;
	stop_accepting(s);
	LIST_FOREACH_SAFE(c, tmp, &s->conns, node)
		http_gate_drain(c);
	loop_timer_set(s->sweep, list_empty(&s->conns) ? 0 : MIN(grace_ms, SWEEP_MS));
}

void http_server_free(struct http_server *s)
{
	struct list *n;
	if (!s)
		return;
	stop_accepting(s);
	while (!list_empty(&s->conns)) {
		struct http_conn *c = CONTAINER_OF(s->conns.next, struct http_conn, node);
		http_life_close(c);
		if (c->req.pending)
			c->server = NULL; /* the handler's reply frees it */
	}
	loop_undefer(&s->reap);
	http_life_reap(s);
	while ((n = list_take_first(&s->listeners))) {
		struct listener *l = CONTAINER_OF(n, struct listener, node);
		evhtp_free(l->htp);
		free(l);
	}
	loop_timer_free(s->sweep);
	loop_timer_free(s->accept_again);
	fd_close(&s->accept_reserve);
	http_crowd_done(s);
	bufferevent_free(s->feeder);
	tls_unref(s->tls);
	free(s);
}

size_t http_server_connections(const struct http_server *s)
{
	return s->n_conns;
}

void http_server_counts(const struct http_server *s, uint64_t *ret_accepted, uint64_t *ret_refused,
			uint64_t *ret_capped)
{
	*ret_accepted = s->accepted;
	*ret_refused = s->refused;
	*ret_capped = s->capped;
}
