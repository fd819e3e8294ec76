/* sse, http_feed: valid and invalid event streams. A socket on the same loop plays the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "net/client/http_feed.h"
#include "test/lib/loop_rig.h"

/* --- sse */

struct told {
	unsigned n;
	char all[2000];
};

static void note(const struct sse_event *e, void *arg)
{
	struct told *t = arg;
	size_t at = strlen(t->all);
	t->n++;
	snprintf(t->all + at, sizeof t->all - at, "[%s|%s|%s|%s%s%s]", e->id, e->name, e->data, e->seq, *e->viewer ? " for " : "", e->viewer);
}

static void test_events_in_pieces(UNUSED void **state)
{
	static const struct {
		const char *text, *told;
	} rows[] = {
		{ "data: a\n\n", "[||a|]" },
		{ "id: 1\nevent: x\ndata: a\n\ndata: b\n\n", "[1|x|a|][1||b|]" }, /* an id is kept, an event name is not */
		{ "id: 1\r\nevent:x\r\ndata:a\r\n\r\n", "[1|x|a|]" },
		{ ": hello\nretry: 2000\nid: 7-0\n\n: and again\n\n", "[7-0|||]" },
		{ "data: a\ndata: b\ndata\n\n", "[||a\nb\n|]" },
		{ "seq: 0123456789abcdef/9\ndata: a\n\ndata: b\n\n", "[||a|0123456789abcdef/9][||b|]" },
		{ "seq: a/9\nviewer: ann ä;\ndata: a\n\ndata: b\n\n", "[||a|a/9 for ann ä;][||b|]" },
		{ "unknown: a\n\n\n\n", "" },
		{ "data: not at its end", "" },
		{ "id: 0123456789012345678901234567890123456789012345678901234567890123456789\ndata: a\n\n", "[||a|]" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t piece = 1; piece < 20; piece += 3) {
			struct sse s;
			struct told t = { 0 };
			struct evbuffer *in = evbuffer_new();
			sse_init(&s);
			for (size_t at = 0; at < strlen(rows[i].text); at += piece) {
				evbuffer_add(in, rows[i].text + at, MIN(piece, strlen(rows[i].text) - at));
				assert_true(sse_feed(&s, in, note, &t));
			}
			assert_string_equal(t.all, rows[i].told);
			sse_done(&s);
			evbuffer_free(in);
		}
}

static bool feed_bytes(size_t n, char c, const char *before, const char *after)
{
	struct sse s;
	struct told t = { 0 };
	struct evbuffer *in = evbuffer_new();
	char *bytes = xmalloc(n);
	memset(bytes, c, n);
	sse_init(&s);
	evbuffer_add(in, before, strlen(before));
	evbuffer_add(in, bytes, n);
	evbuffer_add(in, after, strlen(after));
	bool good = sse_feed(&s, in, note, &t);
	sse_done(&s);
	evbuffer_free(in);
	free(bytes);
	return good;
}

static void test_bounds(UNUSED void **state)
{
	assert_true(feed_bytes(SSE_LINE_MAX - 10, 'x', "data: ", "\n\n"));
	assert_false(feed_bytes(SSE_LINE_MAX + 1, 'x', "", ""));
	assert_false(feed_bytes(SSE_LINE_MAX + 1, 'x', ": ", "\n\n"));
	/* nor by many lines of one event */
	char *lines = xmalloc(SSE_LINE_MAX * 2);
	lines[0] = 0;
	char *at = lines;
	for (int i = 0; i < 300; i++)
		at += sprintf(at, "data: %01000d\n", i);
	assert_false(feed_bytes(1, '\n', lines, "data: x\n\n"));
	free(lines);
	assert_false(feed_bytes(1, 0, "data: a", "b\n\n"));
}

/* --- a stream */

static struct {
	struct loop *loop;
	struct http_client *client;
	int fd, line;
	uint16_t port;
	struct loop_io *io, *line_io;
	struct http_feed *feed;
	const char *text;
	char heard[1000];
	unsigned opened, closed;
	int status;
	char why[200], body[200];
	bool close_at_event;
	struct told told;
} t;

static void on_opened(UNUSED void *arg)
{
	t.opened++;
}

static void on_event(const struct sse_event *e, UNUSED void *arg)
{
	note(e, &t.told);
	if (t.close_at_event)
		http_feed_close(TAKE_PTR(t.feed));
}

static void on_closed(int status, const char *why, const char *body, UNUSED void *arg)
{
	t.closed++;
	t.status = status;
	t.feed = NULL;
	snprintf(t.why, sizeof t.why, "%s", why);
	snprintf(t.body, sizeof t.body, "%s", body);
}

static void hang_up(void)
{
	if (t.line_io)
		loop_io_free(TAKE_PTR(t.line_io));
	fd_close(&t.line);
}

/* A stream after one request. */
static void on_asked(UNUSED int events, UNUSED void *arg)
{
	ssize_t n = recv(t.line, t.heard, sizeof t.heard - 1, 0);
	loop_io_free(TAKE_PTR(t.line_io));
	t.heard[MAX(n, 0)] = 0;
	assert_int_equal(send(t.line, t.text, strlen(t.text), MSG_NOSIGNAL), (ssize_t)strlen(t.text));
}

static void on_accept(UNUSED int events, UNUSED void *arg)
{
	hang_up();
	t.line = accept4(t.fd, NULL, NULL, SOCK_CLOEXEC);
	t.line_io = loop_io_new(t.loop, t.line, LOOP_READ, on_asked, NULL);
}

static void spin(int ms)
{
	loop_rig_run_ms(t.loop, ms);
}

static int set_up(UNUSED void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	memset(&t, 0, sizeof t);
	t.loop = loop_new();
	t.client = http_client_new(t.loop, 4);
	t.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	t.line = -1;
	assert_int_equal(bind(t.fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(t.fd, 5), 0);
	assert_int_equal(getsockname(t.fd, (struct sockaddr *)&a, &n), 0);
	t.port = ntohs(a.sin_port);
	t.io = loop_io_new(t.loop, t.fd, LOOP_READ, on_accept, NULL);
	return 0;
}

static int tear_down(UNUSED void **state)
{
	http_feed_close(t.feed);
	http_client_free(t.client);
	loop_io_free(t.io);
	fd_close(&t.fd);
	hang_up();
	spin(5);
	loop_free(t.loop);
	return 0;
}

static void follow(const char *text, int64_t idle_ms)
{
	static const struct http_feed_events events = { on_opened, on_event, on_closed };
	char url[64];
	const char *why = NULL;
	snprintf(url, sizeof url, "http://127.0.0.1:%u/events?x=1", t.port);
	t.text = text;
	t.feed = http_feed_open(t.loop, t.client, url, &(struct http_header){ "Authorization", "Bearer x" }, 1, idle_ms, &events, NULL, &why);
	assert_non_null(t.feed);
	for (int i = 0; i < 1000 && !t.closed && !t.told.n && (t.feed || !t.opened); i++)
		spin(5);
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

static void test_follows(UNUSED void **state)
{
	follow(HEAD "id: 1\ndata: a\n\n", 5000);
	assert_int_equal(t.opened, 1);
	assert_string_equal(t.told.all, "[1||a|]");
	assert_int_equal(strncmp(t.heard, "GET /events?x=1 HTTP/1.1\r\n", 26), 0);
	assert_non_null(strstr(t.heard, "\r\nAuthorization: Bearer x\r\n"));
	for (int i = 0; i < 100; i++) { /* an endless response, which is not collected */
		char part[20000];
		memset(part, 'x', sizeof part);
		memcpy(part, "data: ", 6);
		memcpy(part + sizeof part - 2, "\n\n", 2);
		assert_int_equal(send(t.line, part, sizeof part, 0), sizeof part);
		for (int j = 0; j < 1000 && t.told.n < 2u + (unsigned)i; j++)
			spin(1);
		assert_int_equal(t.told.n, 2 + i);
	}
	assert_int_equal(t.closed, 0);
	send(t.line, "data: last\n\n", 12, 0);
	hang_up();
	spin(50);
	assert_int_equal(t.closed, 1);
	assert_int_equal(t.told.n, 102);
	assert_int_equal(t.status, 0);
	assert_string_equal(t.why, "the peer ended the stream");
}

static void test_chunked(UNUSED void **state)
{
	follow("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "8\r\nid: 1\nda\r\n7\r\nta: a\n\n\r\n", 5000);
	assert_string_equal(t.told.all, "[1||a|]");
}

static void test_something_else(UNUSED void **state)
{
	static const struct {
		const char *text, *body;
		int status;
	} rows[] = {
		{ "HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nhello", "hello", 401 },
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello", "hello", 200 },
		{ "HTTP/1.1 204 No\r\n\r\n", "", 204 },
		{ "this is not HTTP\r\n\r\n", "", 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		t.closed = 0;
		follow(rows[i].text, 2000);
		assert_int_equal(t.closed, 1);
		assert_int_equal(t.opened, 0);
		assert_int_equal(t.status, rows[i].status);
		assert_string_equal(t.body, rows[i].body);
		assert_true(strlen(t.why) > 10);
		hang_up();
	}
}

static void test_silent(UNUSED void **state)
{
	follow("", 100); /* accepts the connection, and sends nothing */
	assert_int_equal(t.closed, 1);
	assert_string_equal(t.why, "timed out waiting for a response");
	hang_up();
	t.closed = 0;
	follow(HEAD "data: a\n\n", 150);
	for (int i = 0; i < 6; i++) { /* a comment counts as a sign of life */
		spin(50);
		assert_int_equal(t.closed, 0);
		send(t.line, ": x\n", 4, 0);
	}
	for (int i = 0; i < 1000 && !t.closed; i++)
		spin(5);
	assert_string_equal(t.why, "timed out waiting for an event or keep-alive");
	assert_int_equal(t.opened, 1);
}

static void test_a_line_without_end(UNUSED void **state)
{
	char part[65536];
	follow(HEAD "data: a\n\n", 5000);
	memset(part, 'x', sizeof part);
	for (int i = 0; i < 20 && !t.closed; i++) {
		send(t.line, part, sizeof part, MSG_NOSIGNAL | MSG_DONTWAIT);
		spin(5);
	}
	assert_int_equal(t.closed, 1);
	assert_string_equal(t.why, "it sends a malformed event stream");
}

static void test_closed_from_within(UNUSED void **state)
{
	t.close_at_event = true;
	follow(HEAD "data: a\n\ndata: b\n\n", 5000);
	assert_null(t.feed);
	spin(20);
	assert_string_equal(t.told.all, "[||a|]");
	assert_int_equal(t.closed, 0);
}

static void test_refused(UNUSED void **state)
{
	loop_io_free(TAKE_PTR(t.io));
	fd_close(&t.fd);
	follow("", 5000);
	assert_int_equal(t.closed, 1);
	assert_non_null(strstr(t.why, "connection refused"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_in_pieces),
		cmocka_unit_test(test_bounds),
		T(test_follows),
		T(test_chunked),
		T(test_something_else),
		T(test_silent),
		T(test_a_line_without_end),
		T(test_closed_from_within),
		T(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
