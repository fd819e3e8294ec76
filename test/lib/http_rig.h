/* http_rig: a server of src/net/http in a thread of its own, and raw sockets to test it. Included by one test program each. The path selects
 * what the handler does: /later answers after 50 ms, /hold when rig_release is called, /big with 3 MB, /huge with 32 MB, /status/N with that
 * status, /inject with invalid headers; /stream and /pieces continue until they are told to end; every other path echoes the request. With
 * RIG_TLS defined, the same over TLS. */
#ifndef TEST_HTTP_RIG_H
#define TEST_HTTP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "net/http.h"
#ifdef RIG_TLS
#include "test/lib/tls_rig.h"
#define RIG_SECURE true
#else
#define RIG_SECURE false
#endif

#define RIG_BIG (3u << 20)
#define RIG_HUGE (32u << 20) /* more than the buffers of the sockets */
#define RIG_HELD 64

struct rig {
	bool (*handle)(struct rig *g, struct http_req *r); /* a test's own handler, called first; false: it does not handle this request */
	struct loop *loop;
	struct http_server *http;
	pthread_t thread;
	int fd;
	uint16_t port;
	struct http_req *held[RIG_HELD];
	unsigned n_held;
	unsigned handled;
	unsigned drained, gone, room;
	struct http_req *stream; /* the latest */
	struct rig_seen { /* copies for the other thread, made by rig_look */
		unsigned handled, held, drained, conns, gone, room;
		uint64_t accepted, refused, capped;
	} seen;
};

struct rig_later {
	struct loop_timer *timer;
	struct http_req *req;
};

static void rig_answer_later(void *arg)
{
	struct rig_later *l = arg;
	struct http_req *r = l->req;
	loop_timer_free(l->timer);
	http_reply(r, 200, NULL, 0, "later", 5);
}

static void rig_echo(struct rig *g, struct http_req *r)
{
	static char text[20000];
	bool again;
	size_t len;
	const char *body = http_req_body(r, &len), *query = http_req_query(r);
	const char *auth = http_req_header(r, "authorization", &again);
	unsigned sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + (uint8_t)body[i];
	int n = snprintf(text, sizeof text, "%s|%s|%s|%s%s|%zu|%u|%s|%d", http_method_name(http_req_method(r)),
			 http_req_path(r), query ? query : "-", auth ? auth : "-", again ? "+" : "", len, sum,
			 http_req_peer(r), http_req_tag(r));
	http_reply(r, 200, &(struct http_header){ "X-Rig", "1" }, 1, text, (size_t)n);
}

static void rig_on_gone(void *arg)
{
	struct rig *g = arg;
	g->gone++;
	g->stream = NULL;
}

static void rig_on_room(void *arg)
{
	struct rig *g = arg;
	g->room++;
}

static void rig_handle(struct http_req *r, void *arg)
{
	struct rig *g = arg;
	const char *path = http_req_path(r);
	g->handled++;
	if (g->handle && g->handle(g, r))
		return;
	if (strcmp(path, "/later") == 0) {
		struct rig_later *l = http_req_state(r);
		l->req = r;
		l->timer = loop_timer_new(g->loop, rig_answer_later, l);
		loop_timer_set(l->timer, 50);
	} else if (strcmp(path, "/hold") == 0) {
		assert_true(g->n_held < RIG_HELD);
		g->held[g->n_held++] = r;
	} else if (strcmp(path, "/big") == 0 || strcmp(path, "/huge") == 0) {
		size_t len = path[1] == 'b' ? RIG_BIG : RIG_HUGE;
		struct blob *b = blob_new(NULL, len);
		memset(b->data, 'b', len);
		http_reply_blob(r, 200, NULL, 0, b);
		blob_unref(b);
	} else if (strncmp(path, "/status/", 8) == 0) {
		http_reply(r, atoi(path + 8), NULL, 0, "body", 4);
	} else if (strcmp(path, "/stream") == 0 || strcmp(path, "/pieces") == 0) {
		const struct http_header h = { "X-Rig", "stream" };
		static const struct http_stream_events events = { rig_on_gone, rig_on_room };
		g->stream = http_stream_begin(r, path[1] == 'p' ? HTTP_STREAM_BODY : HTTP_STREAM_OPEN, &h, 1, &events, g) ? r : NULL;
	} else if (strcmp(path, "/inject") == 0) {
		const struct http_header h[] = { { "X-One", "a\r\nX-Evil: 1" },
						 { "X-Two", "b\nX-Evil: 1" },
						 { "X-Evil: 1\r\nX-Three", "c" },
						 { "X-Good", "d" } };
		http_reply(r, 200, h, 4, "ok", 2);
	} else {
		rig_echo(g, r);
	}
}

static struct blob *rig_refusal(int status, const char *why, UNUSED const char *peer, char id[HTTP_ID_SIZE], UNUSED void *arg)
{
	char text[300];
	memcpy(id, "rig", 4);
	int n = snprintf(text, sizeof text, "{\"refused\":%d,\"why\":\"%s\"}", status, why);
	return blob_new(text, (size_t)n);
}

static void *rig_run(void *arg)
{
	loop_run(((struct rig *)arg)->loop);
	return NULL;
}

static int rig_listener(uint16_t *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* blocking, as systemd passes them */
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static struct rig *rig_new(const struct http_limits *lim)
{
	static const struct http_limits USUAL = { 1 << 20, 16384, 64, 60, 60, 60, 60 };
	struct rig *g = XNEW(struct rig);
	g->loop = loop_new();
	g->http = http_server_new(g->loop, lim ? lim : &USUAL, rig_handle, rig_refusal, g);
	g->fd = rig_listener(&g->port);
#ifdef RIG_TLS
	char why[256] = "";
	struct rig_cert own = rig_cert_new("rig", NULL, false);
	assert_int_equal(http_server_tls(g->http, &(struct http_tls){ own.cert, own.key }, why, sizeof why), 0);
	rig_cert_free(&own);
#endif
	assert_int_equal(http_server_listen(g->http, g->fd, 7, RIG_SECURE), 0);
	assert_int_equal(pthread_create(&g->thread, NULL, rig_run, g), 0);
	return g;
}

struct rig_call {
	struct loop_task task;
	void (*fn)(struct rig *g);
	struct rig *g;
	sem_t done;
};

static void rig_on_call(struct loop_task *t)
{
	struct rig_call *c = CONTAINER_OF(t, struct rig_call, task);
	c->fn(c->g);
	sem_post(&c->done);
}

/* Run fn on the loop's thread and wait for it. */
static void rig_do(struct rig *g, void (*fn)(struct rig *g))
{
	struct rig_call c = { .fn = fn, .g = g };
	loop_task_init(&c.task, rig_on_call);
	sem_init(&c.done, 0, 0);
	loop_post(g->loop, &c.task);
	sem_wait(&c.done);
	sem_destroy(&c.done);
}

static void rig_do_release(struct rig *g)
{
	for (unsigned i = 0; i < g->n_held; i++)
		http_reply(g->held[i], 200, NULL, 0, "held", 4);
	g->n_held = 0;
}

static UNUSED void rig_release(struct rig *g)
{
	rig_do(g, rig_do_release);
}

static void rig_do_look(struct rig *g)
{
	struct rig_seen *s = &g->seen;
	s->handled = g->handled;
	s->held = g->n_held;
	s->drained = g->drained;
	s->gone = g->gone;
	s->room = g->room;
	s->conns = (unsigned)http_server_connections(g->http);
	http_server_counts(g->http, &s->accepted, &s->refused, &s->capped);
}

static UNUSED const struct rig_seen *rig_look(struct rig *g)
{
	rig_do(g, rig_do_look);
	return &g->seen;
}

/* Wait until *n, a member of g->seen, is want; up to a minute, because the machine may be busy. */
static UNUSED void rig_wait(struct rig *g, const unsigned *n, unsigned want)
{
	for (int i = 0; i < 12000; i++) {
		rig_look(g);
		if (*n == want)
			return;
		usleep(5000);
	}
	fail_msg("the server has %u, not %u", *n, want);
}

static void rig_do_free(struct rig *g)
{
	http_server_free(g->http);
	g->http = NULL;
}

static void rig_do_stop(struct rig *g)
{
	loop_stop(g->loop);
}

/* Frees the server with all connections that still exist. */
static void rig_free(struct rig *g)
{
	rig_do(g, rig_do_free);
	rig_do(g, rig_do_stop); /* one turn later: until then libevent has deferred callbacks */
	pthread_join(g->thread, NULL);
	if (g->n_held)
		rig_do_release(g); /* answers that arrive after the server was freed */
	loop_free(g->loop);
	close(g->fd);
	free(g);
}

static UNUSED void rig_drained(void *arg)
{
	((struct rig *)arg)->drained++;
}

/* For rig_do: drain the server, with a grace that no test outlasts, and with a short one. */
static UNUSED void rig_drain(struct rig *g)
{
	http_server_drain(g->http, 60000, rig_drained, g);
}

static UNUSED void rig_drain_soon(struct rig *g)
{
	http_server_drain(g->http, 300, rig_drained, g);
}

/* --- the client's side */

/* Connects a client with TLS or without. */
static int rig_over(int fd)
{
#ifdef RIG_TLS
	return rig_tunnel(fd);
#else
	return fd;
#endif
}

/* A TCP connection, with TLS or without: no byte of a handshake has been sent. */
static int rig_connect_tcp(const struct rig *g)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(g->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval tv = { .tv_sec = 120 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

static int rig_connect(const struct rig *g)
{
	return rig_over(rig_connect_tcp(g));
}

/* False if the other side accepted no more. */
static bool rig_send(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool rig_puts(int fd, const char *s)
{
	return rig_send(fd, s, strlen(s));
}

/* The head of one response, and its body by Content-Length; false at the end of the connection. */
struct rig_answer {
	int status;
	char head[4096];
	size_t len;	 /* of the body */
	char body[8192]; /* its beginning */
};

static UNUSED bool rig_answer_head(int fd, struct rig_answer *a)
{
	size_t n = 0;
	memset(a, 0, sizeof *a);
	while (n < sizeof a->head - 1 && (n < 4 || memcmp(a->head + n - 4, "\r\n\r\n", 4) != 0)) {
		if (recv(fd, a->head + n, 1, 0) != 1)
			return false;
		n++;
	}
	assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
	const char *cl = strcasestr(a->head, "\r\nContent-Length: ");
	a->len = cl ? strtoul(cl + 18, NULL, 10) : 0;
	return true;
}

static UNUSED bool rig_answer(int fd, struct rig_answer *a)
{
	if (!rig_answer_head(fd, a))
		return false;
	for (size_t got = 0; got < a->len;) {
		char part[65536];
		ssize_t r = recv(fd, part, MIN(sizeof part, a->len - got), 0);
		if (r <= 0)
			return false;
		if (got < sizeof a->body - 1)
			memcpy(a->body + got, part, MIN((size_t)r, sizeof a->body - 1 - got));
		got += (size_t)r;
	}
	return true;
}

/* The other side has closed, without more bytes. A reset counts only with `or_reset`. */
static UNUSED bool rig_closed(int fd, bool or_reset)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);
	return n == 0 || (or_reset && n < 0 && errno == ECONNRESET);
}

/* Send text on a new connection; returns the status of the response, after which the connection must be closed. */
static UNUSED int rig_refused(const struct rig *g, const char *data, size_t len)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_send(fd, data, len);
	if (!rig_answer(fd, &a)) {
		close(fd);
		return -1;
	}
	char want[32];
	snprintf(want, sizeof want, "{\"refused\":%d", a.status);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(a.head, "\r\nContent-Type: application/json\r\n"));
	assert_int_equal(strncmp(a.body, want, strlen(want)), 0);
	assert_true(rig_closed(fd, false));
	close(fd);
	return a.status;
}

#endif
