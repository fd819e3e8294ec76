#include <arpa/inet.h>
#include <errno.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* evhtp's header declares without prototypes, and brings a LIST_FOREACH of its own */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <evhtp.h>
#pragma GCC diagnostic pop
#undef LIST_FOREACH
#undef LIST_FOREACH_SAFE

#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/log.h"
#include "net/http_conn.h"

#define SWEEP_MS 250	    /* how fine deadlines are */
#define ACCEPT_AGAIN_MS 200 /* pause after running out of descriptors */
#define STARVED_LOG_MS 10000 /* between two lines about that */
#define OVER_MAX 64	    /* clients over the cap that are told so at one time; more are only closed */
#define BACKLOG 1024
#define CROWD 256	    /* connections whose memory is worth giving back when they have gone */

/* What evhtp's parser gets to see of any request. 1.0 without more: evhtp then closes unless told to keep alive. */
static const char ONE_REQUEST[] = "GET / HTTP/1.0\r\n\r\n";

struct listener {
	struct list node;
	struct http_server *server;
	evhtp_t *htp;
	int tag;
	bool secure;
};

/* --- the life of a request, as evhtp keeps it */

static void on_evhtp_request(evhtp_request_t *req, void *arg)
{
	struct http_server *s = arg;
	s->feeding->ev_req = req;
}

bool http_server_begin(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct evbuffer *in = bufferevent_get_input(s->feeder);
	c->ev_req = NULL;
	s->feeding = c;
	evbuffer_add(in, ONE_REQUEST, sizeof ONE_REQUEST - 1);
	s->evhtp_read(s->feeder, c->ev);
	s->feeding = NULL;
	if (!c->ev_req && c->state != CONN_DEAD) /* evhtp has no memory */
		http_server_close(c);
	return c->state != CONN_DEAD;
}

void http_server_end(struct http_conn *c, bool keep)
{
	evhtp_request_t *req = c->ev_req;
	c->ev_req = NULL;
	evhtp_request_set_keepalive(req, keep);
	evhtp_send_reply_end(req);
	/* "all is written": frees the request, and the connection too unless it is kept */
	c->server->evhtp_write(c->bev, c->ev);
}

void http_server_close(struct http_conn *c)
{
	evhtp_connection_free(c->ev);
}

/* --- the life of a connection */

static void check_drained(struct http_server *s)
{
	if (!s->draining || !s->on_drained)
		return;
	if (!list_empty(&s->conns) && clock_mono_ms() < s->drain_by_ms)
		return;
	void (*done)(void *arg) = s->on_drained;
	s->on_drained = NULL;
	done(s->drained_arg); /* may free the server */
}

static void free_conn(struct http_conn *c)
{
	free(c->buf);
	free(c);
}

static void reap(struct http_server *s)
{
	struct list *n;
	while ((n = list_take_first(&s->dead)))
		free_conn(CONTAINER_OF(n, struct http_conn, node));
}

static void on_reap(struct loop_task *t)
{
	struct http_server *s = CONTAINER_OF(t, struct http_server, reap);
	reap(s);
	check_drained(s);
}

void http_server_bury(struct http_conn *c)
{
	if (!c->server) {
		free_conn(c);
		return;
	}
	list_append(&c->server->dead, &c->node);
	loop_defer(c->server->loop, &c->server->reap);
}

/* evhtp is about to free its connection, for whatever reason. */
static evhtp_res on_conn_fini(UNUSED evhtp_connection_t *ev, void *arg)
{
	struct http_conn *c = arg;
	struct http_server *s = c->server;
	bool stream = c->state == CONN_STREAM;
	list_remove(&c->node);
	loop_undefer(&c->again);
	if (c->over)
		s->n_over--;
	else
		s->n_conns--;
	c->state = CONN_DEAD;
	c->ev = NULL;
	c->ev_req = NULL;
	c->bev = NULL;
	if (stream)
		http_stream_gone(c);
	if (!c->req.pending)
		http_server_bury(c);
	return EVHTP_RES_OK;
}

static void name_peer(char dst[INET6_ADDRSTRLEN], const struct sockaddr *sa)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)sa;
	strcpy(dst, "unix");
	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &in4->sin_addr, dst, INET6_ADDRSTRLEN);
	else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], dst, INET6_ADDRSTRLEN);
	else if (sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &in6->sin6_addr, dst, INET6_ADDRSTRLEN);
}

static bool over_cap(const struct http_server *s)
{
	return s->n_conns >= s->limits.max_connections;
}

/* Before evhtp makes anything of it; not OK closes the socket. */
static evhtp_res on_pre_accept(evhtp_connection_t *ev, void *arg)
{
	static const char FULL[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	struct listener *l = arg;
	struct http_server *s = l->server;
	fcntl(ev->sock, F_SETFD, FD_CLOEXEC); /* evhtp does not */
	if (l->secure && !l->htp->ssl_ctx)
		return EVHTP_RES_ERROR;
	if (!over_cap(s) || s->n_over < OVER_MAX)
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
	c->over = over_cap(s);
	name_peer(c->peer, ev->saddr);
	bufferevent_getcb(ev->bev, &s->evhtp_read, &s->evhtp_write, NULL, NULL);
	http_gate_open(c);
	evhtp_connection_set_hook(ev, evhtp_hook_on_connection_fini, (evhtp_hook)(void *)on_conn_fini, c);
	list_append(&s->conns, &c->node);
	if (!loop_timer_pending(s->sweep))
		loop_timer_set(s->sweep, SWEEP_MS);
	if (c->over) {
		s->n_over++;
		s->capped++;
		http_gate_refuse(c, 503, "too many connections are open; try again in a moment");
	} else {
		s->n_conns++;
		s->accepted++;
	}
	return EVHTP_RES_OK;
}

/* What a crowd needed lies in pieces all over the heap, and the allocator keeps pieces: tell it to give back whole pages. */
static void trim(struct http_server *s)
{
	s->crowd = MAX(s->crowd, s->n_conns);
	if (s->crowd < CROWD || s->n_conns > s->crowd / 4)
		return;
	s->crowd = s->n_conns;
	malloc_trim(0);
}

static void on_sweep(void *arg)
{
	struct http_server *s = arg;
	struct http_conn *c, *tmp;
	int64_t now_ms = clock_mono_ms();
	LIST_FOREACH_SAFE(c, tmp, &s->conns, node)
		http_gate_expire(c, now_ms);
	trim(s);
	if (!list_empty(&s->conns))
		loop_timer_set(s->sweep, SWEEP_MS);
	check_drained(s);
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

/* No descriptors: the connection stays in the backlog, and accept would be tried again without end. */
static void on_accept_error(UNUSED struct evconnlistener *ls, void *arg)
{
	struct http_server *s = ((evhtp_t *)arg)->arg; /* evhtp's listener, so evhtp's argument */
	struct listener *l;
	int err = errno;
	if (loop_timer_pending(s->accept_again))
		return;
	int64_t now_ms = clock_mono_ms();
	if (!s->starved_ms || now_ms - s->starved_ms > STARVED_LOG_MS) {
		s->starved_ms = now_ms;
		log_error("http", "cannot accept connections for now: %s; raise the limit of open files (LimitNOFILE)",
			  strerror(err));
	}
	LIST_FOREACH(l, &s->listeners, node)
		if (l->htp->server)
			evconnlistener_disable(l->htp->server);
	loop_timer_set(s->accept_again, ACCEPT_AGAIN_MS);
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
	s->handler = handler;
	s->refusal = refusal;
	s->arg = arg;
	s->date_s = -1;
	list_init(&s->listeners);
	list_init(&s->conns);
	list_init(&s->dead);
	loop_task_init(&s->reap, on_reap);
	s->sweep = loop_timer_new(l, on_sweep, s);
	s->accept_again = loop_timer_new(l, on_accept_again, s);
	s->feeder = bufferevent_socket_new(loop_base(l), -1, 0);
	if (!s->feeder)
		abort();
	evbuffer_unfreeze(bufferevent_get_input(s->feeder), 0);
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
	/* inherited by what is accepted; a Unix socket has no such thing */
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
	SSL_CTX *old = l->htp->ssl_ctx; /* evhtp frees what it has last */
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
	int own = r ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0); /* evhtp closes what it is given */
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
	evhtp_set_gencb(l->htp, on_evhtp_request, s);
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

/* Nothing of a next request has come, not even into the kernel. */
static bool is_idle(const struct http_conn *c)
{
	int waiting = 0;
	if (c->ssl && (!c->shaken || tls_has_more(c->ssl)))
		return false;
	return c->state == CONN_IDLE && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0 &&
	       (ioctl(c->fd, FIONREAD, &waiting) < 0 || waiting == 0);
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
		if (is_idle(c))
			http_server_close(c);
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
		http_server_close(c);
		if (c->req.pending)
			c->server = NULL; /* its reply, should it still come, frees it */
	}
	loop_undefer(&s->reap);
	reap(s);
	while ((n = list_take_first(&s->listeners))) {
		struct listener *l = CONTAINER_OF(n, struct listener, node);
		evhtp_free(l->htp);
		free(l);
	}
	loop_timer_free(s->sweep);
	loop_timer_free(s->accept_again);
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
