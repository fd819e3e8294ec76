/* Streamed responses with an end: the bytes on the wire, and what the client makes of them. For whole calls see
 * test/contract/bus_streams.h. */
#include "test/lib/http_rig.h"

#include "lucid/errs.h"
#include "net/client/http_client.h"
#include "net/listen.h"

static struct rig *g;

static int setup(UNUSED void **state)
{
	g = rig_new(&(struct http_limits){ 1 << 20, 16384, 64, 5, 5, 1 });
	return 0;
}

static int teardown(UNUSED void **state)
{
	rig_free(g);
	return 0;
}

static void do_write(struct rig *rig)
{
	struct blob *b = blob_new("0123456789ab", 12);
	http_stream_write(rig->stream, b, SIZE_MAX);
	blob_unref(b);
}

static void do_write_much(struct rig *rig)
{
	struct blob *b = blob_new(NULL, 1 << 20);
	memset(b->data, 'm', b->len);
	for (int i = 0; i < 16; i++)
		http_stream_write(rig->stream, b, SIZE_MAX);
	blob_unref(b);
}

static void do_end(struct rig *rig)
{
	http_stream_end(TAKE_PTR(rig->stream));
}

static void do_drop(struct rig *rig)
{
	http_stream_drop(TAKE_PTR(rig->stream));
}

/* --- the wire */

static int begin(const char *request, struct rig_answer *a)
{
	int fd = rig_connect(g);
	rig_puts(fd, request);
	assert_true(rig_answer_head(fd, a));
	assert_int_equal(a->status, 200);
	assert_null(strstr(a->head, "Content-Length"));
	return fd;
}

static void expect(int fd, const char *text)
{
	char got[200];
	size_t n = strlen(text);
	assert_true(n < sizeof got);
	assert_int_equal(recv(fd, got, n, MSG_WAITALL), n);
	assert_memory_equal(got, text, n);
}

static void another_request(int fd)
{
	struct rig_answer a;
	rig_puts(fd, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(rig_answer(fd, &a));
	assert_int_equal(a.status, 200);
}

static void chunks_and_then_the_next_request(UNUSED void **state)
{
	struct rig_answer a;
	int fd = begin("GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n", &a);
	assert_non_null(strstr(a.head, "\r\nTransfer-Encoding: chunked\r\n"));
	assert_null(strstr(a.head, "Connection"));
	rig_do(g, do_write);
	rig_do(g, do_write);
	rig_do(g, do_end);
	expect(fd, "c\r\n0123456789ab\r\nc\r\n0123456789ab\r\n0\r\n\r\n");
	another_request(fd);
	rig_puts(fd, "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n"); /* an empty one */
	assert_true(rig_answer_head(fd, &a));
	rig_do(g, do_end);
	expect(fd, "0\r\n\r\n");
	another_request(fd);
	close(fd);
	assert_int_equal(rig_look(g)->gone, 0);
}

static void what_was_asked_meanwhile_waits(UNUSED void **state)
{
	struct rig_answer a;
	int fd = begin("GET /pieces HTTP/1.1\r\nHost: x\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\n\r\n", &a);
	rig_do(g, do_write);
	rig_do(g, do_end);
	expect(fd, "c\r\n0123456789ab\r\n0\r\n\r\n");
	assert_true(rig_answer(fd, &a));
	assert_non_null(strstr(a.body, "/after"));
	close(fd);
}

static void http_1_0_until_the_end(UNUSED void **state)
{
	struct rig_answer a;
	int fd = begin("GET /pieces HTTP/1.0\r\nHost: x\r\n\r\n", &a);
	assert_null(strstr(a.head, "Transfer-Encoding"));
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	shutdown(fd, SHUT_WR); /* as HTTP/1.0 clients may */
	rig_do(g, do_write);
	rig_do(g, do_end);
	expect(fd, "0123456789ab");
	assert_true(rig_closed(fd, false));
	close(fd);
}

static void head_alone(UNUSED void **state)
{
	struct rig_answer a;
	int fd = begin("HEAD /pieces HTTP/1.1\r\nHost: x\r\n\r\n", &a);
	assert_non_null(strstr(a.head, "\r\nTransfer-Encoding: chunked\r\n"));
	another_request(fd);
	close(fd);
}

static void broken_off_is_seen(UNUSED void **state)
{
	struct rig_answer a;
	int fd = begin("GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n", &a);
	rig_do(g, do_write);
	rig_do(g, do_drop);
	expect(fd, "c\r\n0123456789ab"); /* without a last chunk */
	assert_true(rig_closed(fd, true));
	close(fd);
}

static void whoever_goes_or_stalls_is_noticed(UNUSED void **state)
{
	struct rig_answer a;
	int fd = begin("GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n", &a);
	close(fd);
	rig_wait(g, &g->seen.gone, 1);
	fd = begin("GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n", &a);
	rig_do(g, do_write_much); /* the client does not read: idle timeout */
	rig_wait(g, &g->seen.gone, 2);
	close(fd);
	rig_wait(g, &g->seen.conns, 0);
}

static void room_is_told(UNUSED void **state)
{
	struct rig_answer a;
	char part[65536];
	size_t n = 0;
	int fd = begin("GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n", &a);
	rig_do(g, do_write_much);
	assert_int_equal(rig_look(g)->room, 0);
	while (n < 16u << 20) {
		ssize_t r = recv(fd, part, sizeof part, 0);
		assert_true(r > 0);
		n += (size_t)r;
	}
	rig_wait(g, &g->seen.room, 1);
	rig_do(g, do_end);
	close(fd);
}

/* --- the client */

static struct loop *l;
static struct {
	int status, over, err;
	bool streams;
	struct source *source;
	size_t len, gathered;
	char why[100];
} seen;

static void on_piece(struct blob *piece, int err, const char *why, UNUSED void *arg)
{
	if (piece) {
		seen.len += piece->len;
		source_read(seen.source, on_piece, NULL);
		return;
	}
	seen.over = 1;
	seen.err = err;
	snprintf(seen.why, sizeof seen.why, "%s", why);
	loop_stop(l);
}

static void on_result(const struct http_result *r, UNUSED void *arg)
{
	struct source *s = http_result_source(r);
	seen.status = http_result_status(r);
	seen.streams = s;
	if (s) {
		seen.source = source_ref(s);
		source_read(s, on_piece, NULL);
		return;
	}
	(void)http_result_body(r, &seen.gathered);
	snprintf(seen.why, sizeof seen.why, "%s", http_result_why(r));
	loop_stop(l);
}

static void on_too_long(UNUSED void *arg)
{
	fail_msg("the end did not arrive");
}

static void on_wait_over(void *arg)
{
	loop_stop(arg);
}

static void run_for(int64_t ms)
{
	struct loop_timer *t = loop_timer_new(l, on_wait_over, l);
	loop_timer_set(t, ms);
	loop_run(l);
	loop_timer_free(t);
}

/* Reads one response of another server on `port` to its end. */
static void fetch(struct http_client *client, uint16_t port, const char *path)
{
	char url[100];
	struct loop_timer *guard = loop_timer_new(l, on_too_long, NULL);
	loop_timer_set(guard, 10000);
	memset(&seen, 0, sizeof seen);
	snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
	assert_int_equal(http_client_ask(client, &(struct http_ask){ .method = HTTP_GET, .url = url, .streams = true }, on_result, NULL, NULL, NULL), 0);
	loop_run(l);
	loop_timer_free(guard);
}

static void *speak(void *arg)
{
	const char *const *said = arg;
	char head[4096];
	int listener = (int)(intptr_t)said[0], fd = accept(listener, NULL, NULL);
	ssize_t n = recv(fd, head, sizeof head, 0);
	for (said++; *said && n > 0; said++) {
		n = send(fd, *said, strlen(*said), MSG_NOSIGNAL);
		usleep(20000);
	}
	close(fd);
	return NULL;
}

/* The other server sends the parts of `said` and closes the connection. */
static void hear(struct http_client *client, const char *said[])
{
	uint16_t port;
	pthread_t thread;
	int fd = rig_listener(&port);
	said[0] = (const char *)(intptr_t)fd;
	fcntl(fd, F_SETFL, 0);
	assert_int_equal(listen(fd, 5), 0);
	pthread_create(&thread, NULL, speak, said);
	fetch(client, port, "/");
	pthread_join(thread, NULL);
	close(fd);
}

#define HEAD "HTTP/1.1 200 OK\r\n"

static void what_the_client_makes_of_it(UNUSED void **state)
{
	static const struct {
		const char *said[6];
		size_t len;
		bool breaks;
	} rows[] = {
		{ { "", HEAD "Content-Length: 6\r\n\r\n", "abc", "def", NULL }, 6, false },
		{ { "", HEAD "Content-Length: 6\r\n\r\nabcdef", NULL }, 6, false },
		{ { "", HEAD "Content-Length: 0\r\n\r\n", NULL }, 0, false },
		{ { "", HEAD "Content-Length: 7\r\n\r\n", "abc", "def", NULL }, 6, true },
		{ { "", HEAD "Transfer-Encoding: chunked\r\n\r\n", "3\r\nab", "c\r\n2\r\nde\r\n", "0\r\n\r\n", NULL }, 5, false },
		{ { "", HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", NULL }, 3, false },
		{ { "", HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", NULL }, 3, true },
		{ { "", HEAD "Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n", "xyz\r\n", NULL }, 3, true },
		{ { "", HEAD "\r\n", "abc", "def", NULL }, 6, false }, /* without a length, the end of the connection is the end */
	};
	l = loop_new();
	struct http_client *client = http_client_new(l, 8);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *said[6];
		memcpy(said, rows[i].said, sizeof said);
		hear(client, said);
		print_message("row %zu: %zu bytes, %d %s\n", i, seen.len, seen.err, seen.why);
		assert_true(seen.streams);
		assert_int_equal(seen.status, 200);
		assert_int_equal(seen.err < 0, rows[i].breaks);
		assert_true(rows[i].breaks ? seen.len <= rows[i].len : seen.len == rows[i].len);
		source_close(seen.source);
		run_for(5);
		assert_int_equal(http_client_in_flight(client), 0);
	}
	/* more than is read at once, divided in the middle of a chunk header */
	static char first[40000], last[] = "0\r\nabcdefghijklmnop\r\n0\r\n\r\n";
	memset(first, 'm', sizeof first - 1);
	memcpy(first, "9000\r\n", 6);
	memcpy(first + 6 + 0x9000, "\r\n1", 4);
	const char *cut[] = { "", HEAD "Transfer-Encoding: chunked\r\n\r\n", first, last, NULL };
	hear(client, cut);
	assert_int_equal(seen.err, 0);
	assert_int_equal(seen.len, 0x9000 + 16);
	source_close(seen.source);
	run_for(5);
	const char *error[] = { "", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n", "gone", NULL };
	hear(client, error); /* an error response is collected as usual */
	assert_false(seen.streams);
	assert_int_equal(seen.status, 404);
	assert_int_equal(seen.gathered, 4);
	http_client_free(client);
	run_for(5);
	loop_free(l);
}

static void the_client_goes_first(UNUSED void **state)
{
	uint16_t port;
	int fd = rig_listener(&port);
	pthread_t thread;
	const char *said[] = { (const char *)(intptr_t)fd, HEAD "Content-Length: 10\r\n\r\n", "abc", "d", "e", "f", NULL };
	l = loop_new();
	fcntl(fd, F_SETFL, 0);
	listen(fd, 5);
	pthread_create(&thread, NULL, speak, said);
	struct http_client *client = http_client_new(l, 8);
	char url[100];
	memset(&seen, 0, sizeof seen);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
	http_client_ask(client, &(struct http_ask){ .method = HTTP_GET, .url = url, .streams = true }, on_result, NULL, NULL, NULL);
	run_for(60);
	assert_true(seen.streams);
	assert_int_equal(seen.over, 0);
	http_client_free(client); /* the source outlives it, and reports the error */
	run_for(5);
	assert_int_equal(seen.over, 1);
	assert_true(seen.err < 0);
	source_close(seen.source);
	pthread_join(thread, NULL);
	close(fd);
	run_for(5);
	loop_free(l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(chunks_and_then_the_next_request), T(what_was_asked_meanwhile_waits), T(http_1_0_until_the_end),
		T(head_alone),			     T(broken_off_is_seen),		T(whoever_goes_or_stalls_is_noticed),
		T(room_is_told),		     T(what_the_client_makes_of_it),	T(the_client_goes_first),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
