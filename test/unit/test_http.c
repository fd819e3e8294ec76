/* http: raw sockets against a real listener. B1 to B20 are known faults of libevhtp from which the gate must protect the program; each has its
 * test. */
#include "test/lib/http_rig.h"

#include <sys/resource.h>
#include <time.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct rig *g;

static int setup(UNUSED void **state)
{
	g = rig_new(NULL);
	return 0;
}

static int teardown(UNUSED void **state)
{
	rig_free(g);
	return 0;
}

static void restart(const struct http_limits *lim)
{
	rig_free(g);
	g = rig_new(lim);
}

static void expect_echo(int fd, const char *start)
{
	struct rig_answer a;
	assert_true(rig_answer(fd, &a));
	assert_int_equal(a.status, 200);
	if (strncmp(a.body, start, strlen(start)) != 0)
		fail_msg("got %s instead of %s", a.body, start);
}

static void b1_request_line_split_at_every_byte(void **state)
{
	static const char text[] = "GET /abc/def?x=y&z HTTP/1.1\r\nHost: a\r\nAuthorization: t\r\n\r\n";
	int fd = rig_connect(g);
	for (size_t cut = 1; cut < sizeof text - 1; cut++) {
		rig_send(fd, text, cut);
		usleep(300);
		rig_puts(fd, text + cut);
		expect_echo(fd, "GET|/abc/def|x=y&z|t|0|");
	}
	for (size_t i = 0; i < sizeof text - 1; i++) {
		rig_send(fd, text + i, 1);
		usleep(100);
	}
	expect_echo(fd, "GET|/abc/def|x=y&z|t|0|");
	close(fd);
}

static void b1_target_crossing_the_read_buffer(void **state)
{
	static char text[12000], want[6000];
	int fd = rig_connect(g);
	for (size_t pad = 0; pad < 4200; pad += 70) { /* the target of the second request crosses byte 4096 */
		size_t n = (size_t)sprintf(text, "GET /first HTTP/1.1\r\nHost: a\r\nPad: %0*d\r\n\r\n", (int)pad + 1, 0);
		size_t at = n + 4;
		n += (size_t)sprintf(text + n, "GET /");
		for (int i = 0; i < 3900; i++)
			text[n++] = (char)('a' + i % 26);
		snprintf(want, sizeof want, "GET|%.3901s|-|", text + at);
		strcpy(text + n, " HTTP/1.1\r\nHost: a\r\n\r\n");
		rig_puts(fd, text);
		expect_echo(fd, "GET|/first|");
		expect_echo(fd, want);
	}
	close(fd);
}

static void b2_large_form_post(void **state)
{
	static const struct http_limits lim = { 8 << 20, 16384, 64, 5, 20, 30 };
	static char head[] = "POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
			     "Content-Length: 4508877\r\n\r\n";
	size_t len = 4508877; /* 4.3 MB */
	char *body = xmalloc(len);
	memset(body, 'a', len);
	assert_int_equal(rig_refused(g, head, sizeof head - 1), 413); /* the default limit is 1 MiB */
	restart(&lim);
	int fd = rig_connect(g);
	rig_puts(fd, head);
	assert_true(rig_send(fd, body, len));
	expect_echo(fd, "POST|/form|-|-|4508877|");
	rig_puts(fd, GET("/next"));
	expect_echo(fd, "GET|/next|");
	close(fd);
	free(body);
}

#define SMUGGLED "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
static void b3_b4_smuggling(void **state)
{
	static const struct {
		int status;
		const char *lines, *body;
	} rows[] = {
		{ 411, "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" SMUGGLED },
		{ 411, "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n" SMUGGLED },
		{ 411, "Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n" SMUGGLED },
		{ 411, "Transfer-Encoding: chunked \r\n", "0\r\n\r\n" SMUGGLED },
		{ 411, "Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n" SMUGGLED },		 /* trailer */
		{ 411, "Transfer-Encoding: chunked\r\n", "10000000000000000\r\n" SMUGGLED },	 /* wraps at 2^64 */
		{ 411, "Transfer-Encoding: chunked\r\n", "\x80\x81\r\n" SMUGGLED },		 /* B3: digits ≥ 0x80 */
		{ 411, "Transfer-Encoding: chunked\r\n", "g\r\n" SMUGGLED },			 /* B4: unsigned char */
		{ 411, "Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n" SMUGGLED }, /* B4 */
		{ 411, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" SMUGGLED },
		{ 400, "Content-Length: 3\r\nContent-Length: 0\r\n", "abc" SMUGGLED },
		{ 400, "Content-Length: 36\r\nContent-Length: 36\r\n", SMUGGLED },
		{ 400, "Content-Length : 36\r\n", SMUGGLED },
		{ 400, "Content-Length: 3\r\n\t6\r\n", SMUGGLED },
		{ 400, "Content-Length: +36\r\n", SMUGGLED },
		{ 400, "Content-Length: 0\nX: y\r\n", SMUGGLED },
		{ 400, "X: y\r\n Content-Length: 36\r\n", SMUGGLED },
		{ 400, "Host: b\r\n", SMUGGLED },
	};
	char text[600];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int n = snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n%s", rows[i].lines, rows[i].body);
		assert_int_equal(rig_refused(g, text, (size_t)n), rows[i].status);
	}
	assert_int_equal(rig_look(g)->handled, 0);
}

static void b5_pipelining(void **state)
{
	static const char three[] = GET("/1") "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET("/3");
	char text[8192] = "";
	int fd = rig_connect(g);
	rig_puts(fd, three);
	expect_echo(fd, "GET|/1|-|-|0|");
	expect_echo(fd, "POST|/2|-|-|3|");
	expect_echo(fd, "GET|/3|-|-|0|");
	rig_puts(fd, GET("/later") GET("/later") GET("/3"));
	expect_echo(fd, "later");
	expect_echo(fd, "later");
	expect_echo(fd, "GET|/3|");
	rig_puts(fd, "\r\n\r\n" GET("/crlf"));
	expect_echo(fd, "GET|/crlf|");
	for (int i = 0; i < 200; i++) /* more than one turn may handle */
		strcat(text, GET("/n"));
	rig_puts(fd, text);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 200; i++)
		expect_echo(fd, "GET|/n|");
	assert_true(rig_closed(fd, false));
	close(fd);
}

/* More arrives than the input buffer may hold while a response is pending: reading stops, and continues afterwards. */
static void b5_pipelining_beyond_the_input(void **state)
{
	size_t one = strlen(GET("/n")), n = 0;
	char *text = xmalloc(3000 * one + 100);
	int fd = rig_connect(g);
	n += (size_t)sprintf(text, GET("/hold"));
	for (int i = 0; i < 3000; i++)
		n += (size_t)sprintf(text + n, GET("/n"));
	assert_true(rig_send(fd, text, n));
	rig_wait(g, &g->seen.held, 1);
	usleep(20000);
	rig_release(g);
	expect_echo(fd, "held");
	for (int i = 0; i < 3000; i++)
		expect_echo(fd, "GET|/n|");
	close(fd);
	free(text);
}

static void b6_endless_headers(void **state)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	size_t len = 10 << 20;
	char *text = xmalloc(len + 1);
	for (size_t i = 0; i < len; i += 5)
		memcpy(text + i, "a:b\r\n", MIN((size_t)5, len - i));
	memcpy(text, "GET / HTTP/1.1\r\n", 16);
	struct rusage before, after;
	getrusage(RUSAGE_SELF, &before);
	assert_true(rig_send(fd, text, len));
	assert_true(rig_answer(fd, &a));
	assert_int_equal(a.status, 431);
	getrusage(RUSAGE_SELF, &after);
	/* KiB; under ASan freed memory is kept for a while */
	assert_true(after.ru_maxrss - before.ru_maxrss < (RIG_SECURE ? 100 : 20) << 10);
	close(fd);
	strcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 64; i++)
		strcat(text, "a: b\r\n");
	strcat(text, "\r\n");
	assert_int_equal(rig_refused(g, text, strlen(text)), 431);
	memset(text, 'A', 17000);
	memcpy(text, "GET /", 5);
	assert_int_equal(rig_refused(g, text, 17000), 414);
	free(text);
}

/* Bytes that keep arriving do not extend a deadline. */
static void b7_slow_input_does_not_extend_deadlines(void **state)
{
	static const struct http_limits lim = { 1 << 20, 16384, 64, 3, 3, 30 };
	static const char *const starts[] = { "GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" };
	restart(&lim);
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		struct rig_answer a;
		int fd = rig_connect(g);
		rig_puts(fd, starts[i]);
		for (int n = 0; n < 400; n++) {
			struct pollfd p = { .fd = fd, .events = POLLIN };
			if (poll(&p, 1, 50) > 0)
				break;
			rig_puts(fd, "x");
		}
		assert_true(rig_answer(fd, &a));
		assert_int_equal(a.status, 408);
		assert_true(rig_closed(fd, true));
		close(fd);
	}
}

static void b7_idle_connections_close(void **state)
{
	static const struct http_limits lim = { 1000, 16384, 64, 60, 60, 3 };
	restart(&lim);
	int used = rig_connect(g), fresh = rig_connect(g), waiting = rig_connect(g);
	rig_puts(used, GET("/"));
	expect_echo(used, "GET|/|");
	rig_puts(waiting, GET("/hold"));
	rig_puts(fresh, "\r\n"); /* not a request yet */
	assert_true(rig_closed(used, false));
	assert_true(rig_closed(fresh, false));
	rig_release(g); /* a connection that waits for a response is not idle */
	expect_echo(waiting, "held");
	close(used);
	close(fresh);
	close(waiting);
}

static void b8_refusals_arrive(void **state)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ 400, "nonsense\r\n\r\n" },
		{ 400, "\x16\x03\x01" }, /* TLS on a plain port */
		{ 400, "GET / HTTP/1.1\nHost: a\n\n" },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 411, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n" },
		{ 413, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n" },
		{ 417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n" },
		{ 505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(rig_refused(g, rows[i].text, strlen(rows[i].text)), rows[i].status);
	/* also after valid requests on the same connection */
	int fd = rig_connect(g);
	struct rig_answer a;
	rig_puts(fd, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n");
	assert_true(rig_answer_head(fd, &a));
	assert_true(rig_answer(fd, &a));
	assert_int_equal(a.status, 400);
	assert_true(a.body[0] == '{');
	close(fd);
	/* and when the client has closed its sending side */
	fd = rig_connect(g);
	rig_puts(fd, "BAD\r\n\r\n");
	shutdown(fd, SHUT_WR);
	assert_true(rig_answer(fd, &a));
	assert_int_equal(a.status, 400);
	assert_true(rig_closed(fd, false));
	close(fd);
}

/* The client sends all of a body that is too large and only then reads: it must still get the 413. */
static void b8_large_body_still_reads_413(void **state)
{
	size_t len = 6 << 20;
	char *text = xcalloc(1, len);
	int fd = rig_connect(g);
	struct rig_answer a;
	rig_puts(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6291456\r\n\r\n");
	assert_true(rig_send(fd, text, len));
	assert_true(rig_answer(fd, &a));
	assert_int_equal(a.status, 413);
	close(fd);
	free(text);
}

static void b9_nul_bytes(void **state)
{
	static const char a[] = "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", b[] = "GET /a HTTP/1.1\r\nHo\0st: a\r\n\r\n";
	assert_int_equal(rig_refused(g, a, sizeof a - 1), 400);
	assert_int_equal(rig_refused(g, b, sizeof b - 1), 400);
	assert_int_equal(rig_refused(g, "\0", 1), 400);
}

static void b10_head_and_bodyless(void **state)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_puts(fd, "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n" GET("/status/204") GET("/status/304") GET("/status/418")
			     GET("/end"));
	assert_true(rig_answer_head(fd, &a));
	assert_int_equal(a.len, strlen("HEAD|/h|-|-|0|0|127.0.0.1|7"));
	assert_true(rig_answer_head(fd, &a));
	assert_int_equal(a.status, 204);
	assert_null(strstr(a.head, "Content-Length"));
	assert_true(rig_answer_head(fd, &a));
	assert_int_equal(a.status, 304);
	assert_true(rig_answer(fd, &a));
	assert_int_equal(a.status, 418);
	assert_string_equal(a.body, "body");
	expect_echo(fd, "GET|/end|-|-|0|0|127.0.0.1|7");
	close(fd);
}

static void b11_connection_header(void **state)
{
	static const char *const closing[] = { "1.1\r\nHost: a\r\nConnection: CLOSE", "1.1\r\nHost: a\r\nConnection: close, TE",
					       "1.0", "1.0\r\nConnection: x" };
	char text[400];
	struct rig_answer a;
	for (size_t i = 0; i < ARRAY_LEN(closing); i++) {
		int fd = rig_connect(g); /* with another request in the buffer already: it is not answered */
		snprintf(text, sizeof text, "GET %s HTTP/%s\r\n\r\n" GET("/more"), i % 2 ? "/later" : "/", closing[i]);
		rig_puts(fd, text);
		assert_true(rig_answer(fd, &a));
		assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
		assert_true(rig_closed(fd, false));
		close(fd);
	}
	int fd = rig_connect(g);
	for (int i = 0; i < 2; i++) {
		rig_puts(fd, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
		assert_true(rig_answer(fd, &a));
		assert_non_null(strstr(a.head, "\r\nConnection: keep-alive\r\n"));
	}
	close(fd);
}

static void b12_body_limit_is_each_requests_own(void **state)
{
	static const struct http_limits lim = { 1000, 16384, 64, 60, 60, 60, 60 };
	char text[8000] = "", body[1001];
	restart(&lim);
	int fd = rig_connect(g);
	memset(body, 'x', 1000);
	body[1000] = 0;
	for (int i = 0; i < 4; i++)
		sprintf(text + strlen(text), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n%s", body);
	rig_puts(fd, text);
	for (int i = 0; i < 4; i++)
		expect_echo(fd, "POST|/|-|-|1000|");
	close(fd);
	assert_int_equal(rig_refused(g, text, (size_t)sprintf(text, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")),
			 413);
}

static void b13_accepted_sockets_are_cloexec(void **state)
{
	int fd = rig_connect(g), seen = 0;
	rig_puts(fd, GET("/"));
	expect_echo(fd, "GET|/|");
	for (int i = 3; i < 256; i++) {
		struct sockaddr_in sa;
		socklen_t len = sizeof sa;
		if (getsockname(i, (struct sockaddr *)&sa, &len) < 0 || sa.sin_family != AF_INET)
			continue;
		assert_true(fcntl(i, F_GETFD) & FD_CLOEXEC);
		seen++;
	}
	assert_true(seen >= 4); /* listener, its copy, both ends of the connection */
	close(fd);
}

/* Waits for tunnels of earlier tests, whose descriptors would become free in the middle of a test that has none left. */
static void let_tunnels_end(void)
{
#ifdef RIG_TLS
	tunnels_join();
#endif
}

static void b14_out_of_descriptors(void **state)
{
	let_tunnels_end();
	struct rlimit old, low;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(g->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), next = dup(fd);
	clockid_t clock;
	struct timespec before, after;
	close(next);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(pthread_getcpuclockid(g->thread, &clock), 0);
	clock_gettime(clock, &before);
	int r = connect(fd, (struct sockaddr *)&sa, sizeof sa);
	usleep(700000);
	clock_gettime(clock, &after);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(r, 0);
	int64_t cpu_ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	assert_true(cpu_ms < 350); /* a spinning loop would use all 700 */
	fd = rig_over(fd);
	rig_puts(fd, GET("/healed"));
	expect_echo(fd, "GET|/healed|");
	close(fd);
}

/* It lasts: clients in the backlog are refused instead of being left there. */
static void b14_out_of_descriptors_for_long(void **state)
{
	let_tunnels_end();
	struct rlimit old, low;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(g->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = 20 };
	char text[64] = "";
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), next = dup(fd);
	close(next);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	int r = connect(fd, (struct sockaddr *)&sa, sizeof sa);
	ssize_t n = recv(fd, text, sizeof text - 1, 0);
	UNUSED int err = errno;
	setrlimit(RLIMIT_NOFILE, &old);
	close(fd);
	assert_int_equal(r, 0);
#ifdef RIG_TLS
	assert_true(n == 0 || (n < 0 && err == ECONNRESET)); /* no plain text where a TLS handshake is expected: closed */
#else
	assert_true(n > 0);
	assert_memory_equal(text, "HTTP/1.1 503 ", 13);
#endif
	/* the listener may refuse one more before it notices that descriptors are free again */
	struct rig_answer a = { 0 };
	for (int tries = 0; tries < 100 && a.status != 200; tries++) {
		usleep(tries ? 100000 : 0);
		fd = rig_connect(g);
		rig_puts(fd, GET("/healed"));
		if (!rig_answer(fd, &a))
			a.status = 0;
		close(fd);
	}
	assert_int_equal(a.status, 200);
}

static void b15_free_with_live_connections(void **state)
{
	int idle = rig_connect(g), half = rig_connect(g), held = rig_connect(g), big = rig_connect(g);
	rig_puts(idle, GET("/"));
	expect_echo(idle, "GET|/|");
	rig_puts(half, "GET / HT");
	rig_puts(held, GET("/hold"));
	rig_puts(big, GET("/big"));
	rig_wait(g, &g->seen.handled, 3);
	restart(NULL); /* and the held request is answered after the server was freed */
	assert_true(rig_closed(idle, true));
	assert_true(rig_closed(half, true));
	assert_true(rig_closed(held, true));
	close(idle);
	close(half);
	close(held);
	close(big);
}

static void more_listen(struct rig *r)
{
	uint16_t port;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = rig_listener(&port);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(http_server_listen(r->http, fd, 8, RIG_SECURE), 0);
	r->port = port;
	close(r->fd);
	r->fd = fd;
	int un_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(un.sun_path, "\0lrdp-http", 10);
	snprintf(un.sun_path + 10, 20, "%d", (int)getpid());
	assert_int_equal(bind(un_fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(http_server_listen(r->http, un_fd, 9, true), 0);
	close(un_fd);
	assert_true(http_server_listen(r->http, -1, 10, false) < 0);
}

/* B16: several listeners; a blocking one must not stop the others. Also Unix sockets. */
static void b16_more_listeners(void **state)
{
	int first = rig_connect(g);
	rig_do(g, more_listen);
	int second = rig_connect(g);
	rig_puts(first, GET("/"));
	rig_puts(second, GET("/"));
	expect_echo(first, "GET|/|-|-|0|0|127.0.0.1|7");
	expect_echo(second, "GET|/|-|-|0|0|127.0.0.1|8");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	memcpy(un.sun_path, "\0lrdp-http", 10);
	snprintf(un.sun_path + 10, 20, "%d", (int)getpid());
	int third = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(third, (struct sockaddr *)&un, sizeof un), 0);
	rig_puts(third, GET("/"));
	expect_echo(third, "GET|/|-|-|0|0|unix|9");
	close(first);
	close(second);
	close(third);
}

/* B18: every connection is subtracted from the count once, however it ends. */
static void b18_every_end_is_noticed(void **state)
{
	struct linger rst = { 1, 0 };
	for (int i = 0; i < 12; i++) {
		int fd = rig_connect(g);
		rig_puts(fd, i % 3 == 0 ? "GET /" : i % 3 == 1 ? GET("/") : "BAD\r\n\r\n");
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
		close(fd);
	}
	while (rig_look(g)->accepted < 12)
		usleep(1000);
	rig_wait(g, &g->seen.conns, 0);
}

static void b19_raw_path_is_unchanged(void **state)
{
	static const char *const paths[] = { "/hello", "/hellothere", "/a/../b", "//x", "/%2e%2F%00", "/a;b=c@d:e", "/" };
	char text[100], want[100];
	int fd = rig_connect(g);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		snprintf(text, sizeof text, "GET %s?q=%%41?b HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
		snprintf(want, sizeof want, "GET|%s|q=%%41?b|", paths[i]);
		rig_puts(fd, text);
		expect_echo(fd, want);
	}
	close(fd);
}

static void b20_header_injection(void **state)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_puts(fd, GET("/inject"));
	assert_true(rig_answer(fd, &a));
	assert_null(strstr(a.head, "Evil"));
	assert_null(strstr(a.head, "X-One"));
	assert_non_null(strstr(a.head, "\r\nX-Good: d\r\n"));
	assert_string_equal(a.body, "ok");
	close(fd);
}

static void authorization_twice_is_visible(void **state)
{
	int fd = rig_connect(g);
	rig_puts(fd, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nAUTHORIZATION: y\r\n\r\n");
	expect_echo(fd, "GET|/|-|x+|");
	close(fd);
}

static void expect_continue(void **state)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	for (int i = 0; i < 2; i++) {
		rig_puts(fd, "POST /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
		assert_true(rig_answer_head(fd, &a));
		assert_int_equal(a.status, 100);
		rig_puts(fd, "abc");
		expect_echo(fd, "POST|/c|-|-|3|");
	}
	rig_puts(fd, "POST /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
	expect_echo(fd, "POST|/c|-|-|3|"); /* a client that does not wait gets no 100 */
	close(fd);
}

static int connect_from(const char *source)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_port = htons(g->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = 20 };
	inet_pton(AF_INET, source, &from.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return rig_over(fd);
}

/* A connection that is being closed may count for a moment. */
static int connect_from_until_let_in(const char *address)
{
	struct rig_answer a = { 0 };
	for (int tries = 0; tries < 200; tries++) {
		int fd = connect_from(address);
		rig_puts(fd, GET("/"));
		if (rig_answer(fd, &a) && a.status == 200)
			return fd;
		close(fd);
		usleep(50000);
	}
	fail_msg("no connection of %s was let in", address);
	return -1;
}

/* A connection whose request is being handled is not quiet, however long a busy machine takes. */
static void hold_all(const int *fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig_puts(fd[i], GET("/hold"));
		rig_wait(g, &g->seen.held, i + 1);
	}
}

static void release_all(const int *fd, unsigned n)
{
	rig_release(g);
	for (unsigned i = 0; i < n; i++)
		expect_echo(fd[i], "held");
}

static void one_address_has_a_bound(void **state)
{
	static const struct http_limits lim = { .max_body = 1000, .max_head = 16384, .max_connections = 8, .max_per_address = 3,
						.head_timeout_s = 60, .body_timeout_s = 60, .idle_timeout_s = 60 };
	int fd[3], more[3];
	restart(&lim);
	for (int i = 0; i < 3; i++)
		fd[i] = connect_from("127.0.0.1");
	hold_all(fd, 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_refused(g, GET("/"), strlen(GET("/"))), 503);
	/* other addresses have their own share, and existing connections are kept */
	for (int i = 0; i < 3; i++) {
		more[i] = connect_from("127.0.0.2");
		rig_puts(more[i], GET("/"));
		expect_echo(more[i], "GET|/|");
	}
	release_all(fd, 3);
	/* one that was quiet for a while is closed for a new one of its address: the one that was quiet longest */
	rig_look(g); /* a reply arrives before the server counts the connection as idle: let it do that at the unshifted time */
	clock_shift_ms(3000);
	rig_puts(fd[1], GET("/late"));
	expect_echo(fd[1], "GET|/late|");
	for (int i = 0; i < 2; i++) {
		int gone = i ? fd[2] : fd[0];
		int fresh = connect_from_until_let_in("127.0.0.1");
		assert_true(rig_closed(gone, true));
		close(gone);
		fd[i ? 2 : 0] = fresh;
	}
	hold_all(fd, 3);
	assert_int_equal(rig_refused(g, GET("/"), strlen(GET("/"))), 503);
	release_all(fd, 3);
	/* free places are assigned again */
	close(fd[1]);
	rig_wait(g, &g->seen.conns, 5);
	fd[1] = connect_from("127.0.0.1");
	rig_puts(fd[1], GET("/"));
	expect_echo(fd[1], "GET|/|");
	for (int i = 0; i < 3; i++) {
		close(fd[i]);
		close(more[i]);
	}
	clock_shift_ms(-3000);
}

static void connections_over_the_limit_get_503(void **state)
{
	static const struct http_limits lim = { 1000, 16384, 3, 60, 60, 60, 60 };
	int fd[3];
	restart(&lim);
	for (int i = 0; i < 3; i++) {
		fd[i] = rig_connect(g);
		rig_puts(fd[i], GET("/"));
		expect_echo(fd[i], "GET|/|");
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_refused(g, GET("/"), strlen(GET("/"))), 503);
	rig_look(g);
	assert_true(g->seen.accepted == 3 && g->seen.refused == 0 && g->seen.capped == 5);
	close(fd[0]);
	rig_wait(g, &g->seen.conns, 2);
	fd[0] = rig_connect(g);
	rig_puts(fd[0], GET("/"));
	expect_echo(fd[0], "GET|/|");
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

static void big_answers(void **state)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_puts(fd, GET("/big") GET("/big") GET("/after"));
	for (int i = 0; i < 2; i++) {
		usleep(100000); /* a slow reader */
		assert_true(rig_answer(fd, &a));
		assert_int_equal(a.len, RIG_BIG);
	}
	expect_echo(fd, "GET|/after|");
	close(fd);
}

/* Clients that disconnect while their response is pending or being sent. */
static void disconnected_clients(void **state)
{
	struct linger rst = { 1, 0 };
	unsigned want = 0;
	for (int i = 0; i < 24; i++) {
		int fd = rig_connect(g);
		rig_puts(fd, i % 3 == 0 ? GET("/hold") GET("/hold") : i % 3 == 1 ? GET("/big") : GET("/later"));
		rig_wait(g, &g->seen.handled, ++want);
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
		close(fd);
	}
	/* one that closed after two requests gets the second one handled when the first is answered */
	for (int i = 0; i < 12000 && rig_look(g)->conns; i++) {
		rig_release(g);
		usleep(5000);
	}
	assert_int_equal(g->seen.conns, 0);
	rig_release(g);
	int fd = rig_connect(g);
	rig_puts(fd, GET("/hold"));
	shutdown(fd, SHUT_WR); /* it closed only its sending side: it still gets the response */
	rig_wait(g, &g->seen.held, 1);
	rig_release(g);
	expect_echo(fd, "held");
	assert_true(rig_closed(fd, false));
	close(fd);
}

/* The client closes its sending side while most of the response is still in the server. */
static void a_half_closed_client_gets_all_of_a_big_answer(void **state)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_puts(fd, GET("/huge"));
	assert_true(rig_answer_head(fd, &a));
	shutdown(fd, SHUT_WR);
	for (size_t got = 0; got < RIG_HUGE;) {
		char part[65536];
		ssize_t n = recv(fd, part, sizeof part, 0);
		if (n <= 0)
			fail_msg("%zu of %u bytes arrived", got, RIG_HUGE);
		got += (size_t)n;
	}
	assert_true(rig_closed(fd, false));
	close(fd);
}

static void drain_answers_pending_requests(void **state)
{
	struct rig_answer a;
	int idle = rig_connect(g), fresh = rig_connect(g), held = rig_connect(g), half = rig_connect(g);
	rig_puts(idle, GET("/"));
	expect_echo(idle, "GET|/|");
	rig_puts(held, GET("/hold"));
	rig_puts(half, GET("/first") "GET /half HTTP/1.1\r\n"); /* the response to the first shows that the partial one has arrived too */
	expect_echo(half, "GET|/first|");
	rig_wait(g, &g->seen.held, 1);
	rig_do(g, rig_drain);
	assert_true(rig_closed(idle, false));
	assert_true(rig_closed(fresh, false));
	assert_int_equal(rig_look(g)->drained, 0);
	rig_puts(half, "Host: a\r\n\r\n");
	assert_true(rig_answer(half, &a));
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	rig_release(g);
	assert_true(rig_answer(held, &a));
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	assert_true(rig_closed(held, false));
	rig_wait(g, &g->seen.drained, 1);
	close(idle);
	close(fresh);
	close(held);
	close(half);
}

#ifdef RIG_TLS
/* A handshake that ends during a drain leaves a connection like any other idle one; it kept the drain until its deadline. */
static void drain_closes_connections_after_their_handshake(void **state)
{
	static const struct http_limits lim = { 1000, 16384, 64, 60, 60, 60, 60 };
	struct timeval patience = { .tv_sec = 30 };
	restart(&lim);
	int tcp = rig_connect_tcp(g);
	rig_wait(g, &g->seen.conns, 1);
	rig_do(g, rig_drain);
	assert_int_equal(rig_look(g)->drained, 0);
	int fd = rig_over(tcp);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_true(rig_closed(fd, true));
	rig_wait(g, &g->seen.drained, 1);
	assert_true(rig_look(g)->conns == 0);
	close(fd);
}
#endif

static void drain_ends(void **state)
{
	int held = rig_connect(g);
	rig_puts(held, GET("/hold"));
	rig_wait(g, &g->seen.held, 1);
	rig_do(g, rig_drain_soon);
	rig_wait(g, &g->seen.drained, 1);
	assert_int_equal(rig_look(g)->held, 1);
	rig_release(g);
	restart(NULL);
	rig_do(g, rig_drain_soon); /* without connections */
	rig_wait(g, &g->seen.drained, 1);
	close(held);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(b1_request_line_split_at_every_byte),
		CASE(b1_target_crossing_the_read_buffer),
		CASE(b2_large_form_post),
		CASE(b3_b4_smuggling),
		CASE(b5_pipelining),
		CASE(b5_pipelining_beyond_the_input),
		CASE(b6_endless_headers),
		CASE(b7_slow_input_does_not_extend_deadlines),
		CASE(b7_idle_connections_close),
		CASE(b8_refusals_arrive),
		CASE(b8_large_body_still_reads_413),
		CASE(b9_nul_bytes),
		CASE(b10_head_and_bodyless),
		CASE(b11_connection_header),
		CASE(b12_body_limit_is_each_requests_own),
		CASE(b13_accepted_sockets_are_cloexec),
		CASE(b14_out_of_descriptors),
		CASE(b14_out_of_descriptors_for_long),
		CASE(b15_free_with_live_connections),
		CASE(b16_more_listeners),
		CASE(b18_every_end_is_noticed),
		CASE(b19_raw_path_is_unchanged),
		CASE(b20_header_injection),
		CASE(authorization_twice_is_visible),
		CASE(expect_continue),
		CASE(one_address_has_a_bound),
		CASE(connections_over_the_limit_get_503),
		CASE(big_answers),
		CASE(disconnected_clients),
		CASE(a_half_closed_client_gets_all_of_a_big_answer),
		CASE(drain_answers_pending_requests),
		CASE(drain_ends),
#ifdef RIG_TLS
		CASE(drain_closes_connections_after_their_handshake),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
