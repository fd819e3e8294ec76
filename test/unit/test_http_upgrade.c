/* http_upgrade: a connection that is handed over to an endpoint, tested by raw sockets against a real listener. */
#include "test/lib/http_rig.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* of RFC 6455 section 1.3, as is its Sec-WebSocket-Accept */
#define ACCEPT "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define UPGRADE(path) \
	"GET " path " HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: " KEY "\r\n\r\n"
#define BOUND (256u << 10) /* of data that is queued for the client */
#define PIECE 16384

/*
 * The endpoint. The path selects what it does: /echo sends back its input, /hold does not read until it is told to, /flood sends as much as it
 * may and ignores the client's end, /bye sends "bye" and ends at the first byte, /drop drops the connection at the first byte.
 */
static struct rig *g;
static struct endpoint {
	char kind;
	struct http_req *req; /* NULL: it has ended */
	struct blob *waiting; /* refused by http_stream_write */
	bool held;
	size_t got, gulp; /* gulp: in the turn in which it was told to read */
	unsigned opened, refused, ended, drained, gone, full;
} e;
static struct endpoint seen; /* a copy for the other thread */

static void end(void)
{
	struct http_req *r = TAKE_PTR(e.req);
	blob_unref(TAKE_PTR(e.waiting));
	e.ended++;
	http_stream_end(r);
}

static bool send_on(struct blob *b)
{
	bool sent = http_stream_write(e.req, b, BOUND);
	if (sent)
		blob_unref(b);
	else
		e.full++;
	e.waiting = sent ? NULL : b;
	return sent;
}

/* Until nothing more can be read, or the client accepts no more. */
static void echo(void)
{
	char part[PIECE];
	for (;;) {
		if (e.waiting && !send_on(e.waiting))
			return;
		ssize_t n = http_upgrade_read(e.req, part, sizeof part);
		if (n < 0)
			end();
		if (n <= 0)
			return;
		e.got += (size_t)n;
		e.waiting = blob_new(part, (size_t)n);
	}
}

static void swallow(void)
{
	char part[PIECE];
	for (;;) {
		ssize_t n = http_upgrade_read(e.req, part, sizeof part);
		if (n < 0)
			end();
		if (n <= 0)
			return;
		e.got += (size_t)n;
	}
}

static void flood(void)
{
	char part[PIECE];
	memset(part, 'f', sizeof part);
	/* bounded: writes to a client that has disconnected always succeed */
	for (unsigned n = 0; n < (64u << 20) / PIECE && send_on(blob_new(part, sizeof part)); n++)
		;
	blob_unref(TAKE_PTR(e.waiting));
}

static void on_readable(UNUSED void *arg)
{
	struct blob *bye = blob_new("bye", 3);
	if (e.kind == 'e') {
		echo();
	} else if (e.kind == 'h' && !e.held) {
		swallow();
	} else if (e.kind == 'b') {
		http_stream_write(e.req, bye, BOUND);
		end();
	} else if (e.kind == 'd') {
		http_stream_drop(TAKE_PTR(e.req));
	}
	blob_unref(bye);
}

static void on_room(UNUSED void *arg)
{
	if (e.kind == 'e')
		echo();
	else if (e.kind == 'f')
		flood();
}

static void on_gone(UNUSED void *arg)
{
	e.gone++;
	e.req = NULL;
	blob_unref(TAKE_PTR(e.waiting));
}

static void on_drain(UNUSED void *arg)
{
	e.drained++;
}

static bool handle(UNUSED struct rig *rig, struct http_req *r)
{
	static const struct http_upgrade_events events = { { on_gone, on_room }, on_readable, on_drain };
	const struct http_header protocol = { "Sec-WebSocket-Protocol", "rig" };
	char kind = http_req_path(r)[1];
	if (!strchr("ehfbd", kind) || kind == 0)
		return false;
	bool held = e.held;
	if (!http_upgrade_websocket(r, &protocol, kind == 'e', &events, NULL)) {
		e.refused++;
		return true;
	}
	e.kind = kind;
	e.req = r;
	e.held = held;
	e.opened++;
	if (kind == 'f')
		flood();
	return true;
}

static int setup(UNUSED void **state)
{
	e = (struct endpoint){ .held = true };
	g = rig_new(NULL);
	g->handle = handle;
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
	g->handle = handle;
}

static void do_look(UNUSED struct rig *rig)
{
	seen = e;
}

static const struct endpoint *look(void)
{
	rig_do(g, do_look);
	return &seen;
}

/* Wait until *n, a member of `seen`, is want; up to a minute, because the machine may be busy. */
static void wait_for(const unsigned *n, unsigned want)
{
	for (int i = 0; i < 12000; i++) {
		look();
		if (*n == want)
			return;
		usleep(5000);
	}
	fail_msg("the endpoint has %u, not %u", *n, want);
}

static int upgrade(const char *text)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_puts(fd, text);
	assert_true(rig_answer_head(fd, &a));
	assert_int_equal(a.status, 101);
	assert_non_null(strstr(a.head, ACCEPT));
	return fd;
}

static void expect(int fd, const char *text)
{
	char part[256] = "";
	size_t n = strlen(text);
	assert_true(n < sizeof part);
	assert_int_equal(recv(fd, part, n, MSG_WAITALL), (ssize_t)n);
	assert_string_equal(part, text);
}

static void handshake_follows_rfc_6455(void **state)
{
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_puts(fd, UPGRADE("/echo"));
	assert_true(rig_answer_head(fd, &a));
	assert_int_equal(strncmp(a.head, "HTTP/1.1 101 Switching Protocols\r\n", 34), 0);
	assert_non_null(strstr(a.head, "\r\nUpgrade: websocket\r\n"));
	assert_non_null(strstr(a.head, "\r\nConnection: Upgrade\r\n"));
	assert_non_null(strstr(a.head, ACCEPT));
	assert_non_null(strstr(a.head, "\r\nSec-WebSocket-Protocol: rig\r\n"));
	assert_null(strcasestr(a.head, "\r\nContent-Length:"));
	assert_null(strcasestr(a.head, "\r\nTransfer-Encoding:"));
	close(fd);
}

static void bad_handshake_is_refused_and_the_connection_stays(void **state)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ 426, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 426, "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n" },
		{ 426, "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n" },
		{ 426, "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c, websockets\r\nSec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Key: " KEY "\r\n\r\n" },
		{ 426, "GET /echo HTTP/1.0\r\nHost: a\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Key: " KEY "\r\n\r\n" },
#define ASKS "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		{ 426, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY "\r\n\r\n" },
		{ 400, "POST /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\nContent-Length: 0\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Key: " KEY "\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Key: " KEY "\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ_==\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" ASKS "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBhbmQ=\r\n\r\n" },
	};
	int fd = rig_connect(g);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig_answer a;
		char want[32];
		rig_puts(fd, rows[i].text);
		assert_true(rig_answer(fd, &a));
		if (a.status != rows[i].status)
			fail_msg("row %zu got %d", i, a.status);
		snprintf(want, sizeof want, "{\"refused\":%d", a.status);
		assert_int_equal(strncmp(a.body, want, strlen(want)), 0);
		assert_int_equal(strstr(a.head, "\r\nUpgrade: websocket\r\n") != NULL, a.status == 426);
		assert_int_equal(strstr(a.head, "\r\nSec-WebSocket-Version: 13\r\n") != NULL, a.status == 426);
		assert_null(strcasestr(a.head, "\r\nSec-WebSocket-Accept:"));
	}
	assert_int_equal(look()->refused, ARRAY_LEN(rows));
	assert_int_equal(seen.opened, 0);
	rig_puts(fd, UPGRADE("/echo"));
	struct rig_answer a;
	assert_true(rig_answer_head(fd, &a));
	assert_int_equal(a.status, 101);
	close(fd);
}

/* In every valid form: several lines, other case, blanks. */
static void handshake_may_have_other_forms(void **state)
{
	int fd = upgrade("GET /echo HTTP/1.1\r\nHost: a\r\nconnection: keep-alive\r\nCONNECTION:  upgrade ,x\r\nupgrade: foo\r\n"
			 "Upgrade: bar, WebSocket\r\nsec-websocket-version:13 \r\nsec-websocket-key:  " KEY " \r\n\r\n");
	rig_puts(fd, "x");
	expect(fd, "x");
	close(fd);
}

static void bytes_pass_in_both_directions_and_are_no_requests(void **state)
{
	static const char request[] = "GET /status/200 HTTP/1.1\r\nHost: a\r\n\r\n";
	int fd = upgrade(UPGRADE("/echo") "behind the head");
	expect(fd, "behind the head");
	for (int i = 0; i < 3; i++) {
		rig_puts(fd, request);
		expect(fd, request);
	}
	assert_int_equal(rig_look(g)->handled, 1);
	assert_int_equal(g->seen.refused, 0);
	close(fd);
}

static void endpoint_is_told_of_the_clients_end(void **state)
{
	int fd = upgrade(UPGRADE("/echo"));
	rig_puts(fd, "last");
	shutdown(fd, SHUT_WR);
	expect(fd, "last");
	assert_true(rig_closed(fd, false));
	close(fd);
	wait_for(&seen.ended, 1);
	rig_wait(g, &g->seen.conns, 0);
	assert_int_equal(look()->gone, 0);
}

/* Everything that was written still arrives, although the client has closed its sending side. */
static void written_data_is_sent_after_the_clients_end(void **state)
{
	static char text[BOUND / 2], part[PIECE];
	size_t total = 0;
	int fd = upgrade(UPGRADE("/echo"));
	memset(text, 't', sizeof text);
	for (int i = 0; i < 64 && !look()->full; i++) /* until nothing more fits into the socket */
		for (size_t at = 0; at < sizeof text;) {
			ssize_t n = send(fd, text + at, sizeof text - at, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n <= 0)
				break;
			at += (size_t)n;
			total += (size_t)n;
		}
	shutdown(fd, SHUT_WR);
	for (size_t got = 0; got < total;) {
		ssize_t n = recv(fd, part, sizeof part, 0);
		if (n <= 0)
			fail_msg("%zu of %zu bytes arrived", got, total);
		got += (size_t)n;
	}
	assert_true(rig_closed(fd, false));
	close(fd);
	assert_int_equal(look()->got, total);
}

static void reset_of_the_client_is_noticed(void **state)
{
	struct linger rst = { 1, 0 };
	int fd = upgrade(UPGRADE("/flood"));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
	close(fd);
	wait_for(&seen.gone, 1);
	assert_null(seen.req);
	rig_wait(g, &g->seen.conns, 0);
}

/* The client is still sending when the endpoint ends: a reset must not destroy the last data of the endpoint. */
static void last_data_of_the_endpoint_arrives(void **state)
{
	static char text[300000];
	int fd = upgrade(UPGRADE("/bye"));
	rig_send(fd, text, sizeof text);
	expect(fd, "bye");
	assert_true(rig_closed(fd, false));
	close(fd);
	rig_wait(g, &g->seen.conns, 0);
	assert_int_equal(look()->ended, 1);
	assert_int_equal(seen.gone, 0);
}

static void the_endpoint_drops_at_once(void **state)
{
	int fd = upgrade(UPGRADE("/drop"));
	rig_puts(fd, "x");
	assert_true(rig_closed(fd, true));
	close(fd);
	rig_wait(g, &g->seen.conns, 0);
	assert_int_equal(look()->gone, 0);
}

static void do_swallow(UNUSED struct rig *rig)
{
	e.held = false;
	swallow();
	e.gulp = e.got;
}

/* An endpoint that does not read stops the client by back-pressure, and little is queued in the server. */
static void endpoint_that_does_not_read_stops_the_client(void **state)
{
	static char part[65536];
	size_t sent = 0, most = 256u << 20;
	int fd = upgrade(UPGRADE("/hold"));
	struct pollfd p = { fd, POLLOUT, 0 };
	while (sent < most && poll(&p, 1, 1000) == 1) {
		ssize_t n = send(fd, part, sizeof part, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_true(sent < most);
	assert_int_equal(look()->got, 0);
	rig_do(g, do_swallow);
	look();
	assert_in_range(seen.gulp, 1, HTTP_UPGRADE_IN);
	shutdown(fd, SHUT_WR);
	assert_true(rig_closed(fd, false));
	assert_int_equal(look()->got, sent);
	close(fd);
}

/* A client that does not read stops the endpoint, which stops the client; afterwards everything arrives, in order. */
static void slow_reader_stops_both_directions(void **state)
{
	static char part[65536];
	size_t sent = 0, most = 256u << 20;
	int fd = upgrade(UPGRADE("/echo"));
	struct pollfd p = { fd, POLLOUT, 0 };
	while (sent < most && poll(&p, 1, 1000) == 1) {
		for (size_t i = 0; i < sizeof part; i++)
			part[i] = (char)((sent + i) % 251);
		ssize_t n = send(fd, part, sizeof part, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_true(sent < most);
	while (!look()->full)
		usleep(5000);
	assert_true(seen.got < sent);
	shutdown(fd, SHUT_WR);
	for (size_t got = 0; got < sent;) {
		ssize_t n = recv(fd, part, sizeof part, 0);
		if (n <= 0)
			fail_msg("%zu of %zu bytes arrived", got, sent);
		for (ssize_t i = 0; i < n; i++, got++)
			if (part[i] != (char)(got % 251))
				fail_msg("byte %zu differs", got);
	}
	assert_true(rig_closed(fd, false));
	close(fd);
}

static void a_client_that_never_reads_is_closed(void **state)
{
	static const struct http_limits lim = { 1 << 20, 16384, 64, 60, 60, 1, 60 };
	restart(&lim);
	int fd = upgrade(UPGRADE("/flood"));
	wait_for(&seen.gone, 1);
	close(fd);
}

static void drain_waits_for_the_endpoint(void **state)
{
	struct rig_answer a;
	int fd = upgrade(UPGRADE("/echo")), late = rig_connect(g);
	rig_puts(late, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\nG"); /* a partial request keeps it open */
	assert_true(rig_answer(late, &a));
	assert_int_equal(a.status, 426);
	rig_do(g, rig_drain);
	wait_for(&seen.drained, 1);
	rig_puts(fd, "still there");
	expect(fd, "still there");
	rig_puts(late, UPGRADE("/echo") + 1);
	assert_true(rig_answer(late, &a));
	assert_int_equal(a.status, 503);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	assert_true(rig_closed(late, false));
	assert_int_equal(rig_look(g)->drained, 0);
	shutdown(fd, SHUT_WR);
	assert_true(rig_closed(fd, false));
	rig_wait(g, &g->seen.drained, 1);
	assert_int_equal(look()->drained, 1);
	close(fd);
	close(late);
}

static void drain_ends_an_endpoint_that_continues(void **state)
{
	int fd = upgrade(UPGRADE("/hold"));
	rig_do(g, rig_drain_soon);
	rig_wait(g, &g->seen.drained, 1);
	assert_int_equal(look()->gone, 0);
	restart(NULL); /* as the program frees the server then */
	assert_int_equal(e.gone, 1);
	assert_true(rig_closed(fd, true));
	close(fd);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(handshake_follows_rfc_6455),
		CASE(bad_handshake_is_refused_and_the_connection_stays),
		CASE(handshake_may_have_other_forms),
		CASE(bytes_pass_in_both_directions_and_are_no_requests),
		CASE(endpoint_is_told_of_the_clients_end),
		CASE(written_data_is_sent_after_the_clients_end),
		CASE(reset_of_the_client_is_noticed),
		CASE(last_data_of_the_endpoint_arrives),
		CASE(the_endpoint_drops_at_once),
		CASE(endpoint_that_does_not_read_stops_the_client),
		CASE(slow_reader_stops_both_directions),
		CASE(a_client_that_never_reads_is_closed),
		CASE(drain_waits_for_the_endpoint),
		CASE(drain_ends_an_endpoint_that_continues),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
