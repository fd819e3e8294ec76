/* http: raw sockets against a real listener. The rows B1 to B20 are the known faults of libevhtp that the gate must keep away
 * from us; each has its case. */
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
	assert_int_equal(rig_refused(g, head, sizeof head - 1), 413); /* usual limit: 1 MiB */
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
	for (int i = 0; i < 200; i++) /* more than one turn may take */
		strcat(text, GET("/n"));
	rig_puts(fd, text);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 200; i++)
		expect_echo(fd, "GET|/n|");
	assert_true(rig_closed(fd, false));
	close(fd);
}

/* More than the input may hold comes in while an answer is pending: reading stops, and goes on afterwards. */
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
	/* KiB; under ASan what is freed stays for a while */
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

/* Bytes that keep coming do not keep a deadline away. */
static void b7_drip_feed(void **state)
{
	static const char *const starts[] = { "GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" };
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
	static const struct http_limits lim = { 1000, 16384, 64, 1, 1, 1 };
	restart(&lim);
	int used = rig_connect(g), fresh = rig_connect(g), waiting = rig_connect(g);
	rig_puts(used, GET("/"));
	expect_echo(used, "GET|/|");
	rig_puts(waiting, GET("/hold"));
	rig_puts(fresh, "\r\n"); /* not a request yet */
	assert_true(rig_closed(used, false));
	assert_true(rig_closed(fresh, false));
	rig_release(g); /* who waits for an answer is not idle */
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
		{ 400, "\x16\x03\x01" }, /* TLS to a plain port */
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
	/* after good requests on the same connection too */
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

/* The client sends all of a body that is too large and only then reads: it must still find out why. */
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
		int fd = rig_connect(g); /* with a next request already buffered: it is not answered */
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
	static const struct http_limits lim = { 1000, 16384, 64, 1, 1, 30 };
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
	assert_true(seen >= 4); /* listener, its copy, both ends of ours */
	close(fd);
}

static void b14_out_of_descriptors(void **state)
{
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
	assert_true(cpu_ms < 350); /* a loop that spins uses all 700 */
	fd = rig_over(fd);
	rig_puts(fd, GET("/healed"));
	expect_echo(fd, "GET|/healed|");
	close(fd);
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
	restart(NULL); /* and the held one is answered after the server is gone */
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

/* B16: listeners side by side; a blocking one must not stop the others; B16 again: Unix sockets. */
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

/* B18: however a connection ends, it is counted out, once. */
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

static void b19_the_raw_path_comes_whole(void **state)
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
	expect_echo(fd, "POST|/c|-|-|3|"); /* who does not wait is not told to go on */
	close(fd);
}

static void over_the_cap_is_told(void **state)
{
	static const struct http_limits lim = { 1000, 16384, 3, 1, 1, 30 };
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

/* Clients that go away while their answer is pending or leaving. */
static void gone_clients(void **state)
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
	usleep(100000);
	rig_release(g);
	usleep(20000);
	rig_release(g);
	int fd = rig_connect(g);
	rig_puts(fd, GET("/hold"));
	shutdown(fd, SHUT_WR); /* only its sending side: it still gets the answer */
	usleep(20000);
	rig_wait(g, &g->seen.held, 1);
	rig_release(g);
	expect_echo(fd, "held");
	assert_true(rig_closed(fd, false));
	close(fd);
}

static void on_drained(void *arg)
{
	((struct rig *)arg)->drained++;
}

static void drain(struct rig *r)
{
	http_server_drain(r->http, 5000, on_drained, r);
}

static void drain_soon(struct rig *r)
{
	http_server_drain(r->http, 300, on_drained, r);
}

static void drain_answers_what_is_pending(void **state)
{
	struct rig_answer a;
	int idle = rig_connect(g), fresh = rig_connect(g), held = rig_connect(g), half = rig_connect(g);
	rig_puts(idle, GET("/"));
	expect_echo(idle, "GET|/|");
	rig_puts(held, GET("/hold"));
	rig_puts(half, "GET /half HTTP/1.1\r\n");
	rig_wait(g, &g->seen.held, 1);
	rig_do(g, drain);
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

static void drain_has_an_end(void **state)
{
	int held = rig_connect(g);
	rig_puts(held, GET("/hold"));
	rig_wait(g, &g->seen.held, 1);
	rig_do(g, drain_soon);
	rig_wait(g, &g->seen.drained, 1);
	assert_int_equal(rig_look(g)->held, 1);
	rig_release(g);
	restart(NULL);
	rig_do(g, drain_soon); /* with nobody there */
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
		CASE(b7_drip_feed),
		CASE(b7_idle_connections_close),
		CASE(b8_refusals_arrive),
		CASE(b8_large_body_still_reads_413),
		CASE(b9_nul_bytes),
		CASE(b10_head_and_bodyless),
		CASE(b11_connection_header),
		CASE(b12_body_limit_is_each_requests_own),
		CASE(b13_accepted_sockets_are_cloexec),
		CASE(b14_out_of_descriptors),
		CASE(b15_free_with_live_connections),
		CASE(b16_more_listeners),
		CASE(b18_every_end_is_noticed),
		CASE(b19_the_raw_path_comes_whole),
		CASE(b20_header_injection),
		CASE(authorization_twice_is_visible),
		CASE(expect_continue),
		CASE(over_the_cap_is_told),
		CASE(big_answers),
		CASE(gone_clients),
		CASE(drain_answers_what_is_pending),
		CASE(drain_has_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
