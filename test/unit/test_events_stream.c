/* Streamed responses for events, and the ring of recent events. */
#include "test/lib/http_rig.h"

#include "bus/ring.h"

/* --- streams */

static unsigned writes;
static bool took;

static void do_write(struct rig *g)
{
	struct blob *b = blob_new("tick\n", 5);
	took = true;
	for (unsigned i = 0; i < writes && took && g->stream; i++)
		took = http_stream_write(g->stream, b, 65536);
	blob_unref(b);
}

static void write_some(struct rig *g, unsigned n)
{
	writes = n;
	rig_do(g, do_write);
}

static void do_end(struct rig *g)
{
	http_stream_end(TAKE_PTR(g->stream));
}

static void do_drop(struct rig *g)
{
	http_stream_drop(TAKE_PTR(g->stream));
}

static int stream_open(struct rig *g, const char *version, struct rig_answer *a)
{
	int fd = rig_connect(g);
	char text[100];
	snprintf(text, sizeof text, "GET /stream HTTP/%s\r\nHost: x\r\n\r\n", version);
	rig_puts(fd, text);
	assert_true(rig_answer_head(fd, a));
	assert_int_equal(a->status, 200);
	assert_non_null(strstr(a->head, "\r\nX-Rig: stream\r\n"));
	assert_non_null(strstr(a->head, "\r\nConnection: close\r\n"));
	assert_null(strstr(a->head, "Content-Length"));
	assert_null(strstr(a->head, "Transfer-Encoding"));
	return fd;
}

static size_t read_all(int fd)
{
	char part[4096];
	size_t n = 0;
	ssize_t r;
	while ((r = recv(fd, part, sizeof part, 0)) > 0)
		for (ssize_t i = 0; i < r; i++, n++)
			assert_int_equal(part[i], "tick\n"[n % 5]);
	return n;
}

static void test_goes_on_and_ends(UNUSED void **state)
{
	static const char *const versions[] = { "1.1", "1.0" };
	struct rig *g = rig_new(NULL);
	struct rig_answer a;
	char part[5];
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		int fd = stream_open(g, versions[i], &a);
		write_some(g, 1);
		assert_true(took);
		assert_int_equal(recv(fd, part, 5, MSG_WAITALL), 5);
		write_some(g, 2000); /* queued bytes are still sent */
		rig_do(g, do_end);
		assert_int_equal(read_all(fd), 10000);
		close(fd);
	}
	rig_wait(g, &g->seen.conns, 0);
	assert_int_equal(g->seen.gone, 0);
	rig_free(g);
}

static void test_head_is_short(UNUSED void **state)
{
	struct rig *g = rig_new(NULL);
	struct rig_answer a;
	int fd = rig_connect(g);
	rig_puts(fd, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(rig_answer_head(fd, &a));
	assert_int_equal(a.status, 200);
	assert_true(rig_closed(fd, false));
	close(fd);
	rig_wait(g, &g->seen.conns, 0);
	assert_int_equal(g->seen.gone, 0);
	rig_free(g);
}

static void test_client_gone(UNUSED void **state)
{
	struct rig *g = rig_new(NULL);
	struct rig_answer a;
	struct linger hard = { 1, 0 };
	int fd = stream_open(g, "1.1", &a);
	close(fd); /* orderly */
	rig_wait(g, &g->seen.gone, 1);
	fd = stream_open(g, "1.1", &a);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(fd); /* or with a reset */
	write_some(g, 3);
	rig_wait(g, &g->seen.gone, 2);
	fd = stream_open(g, "1.1", &a);
	char junk[4096] = "GET / HTTP/1.1\r\n\r\n";
	write_some(g, 1);
	while (rig_send(fd, junk, sizeof junk)) /* further input must be ignored */
		;
	close(fd);
	rig_wait(g, &g->seen.gone, 3);
	/* closed together with the request */
	fd = rig_connect(g);
	rig_puts(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	close(fd);
	rig_wait(g, &g->seen.conns, 0);
	rig_free(g);
}

static void test_bound_and_drop(UNUSED void **state)
{
	struct rig *g = rig_new(NULL);
	struct rig_answer a;
	int fd = stream_open(g, "1.1", &a);
	write_some(g, 10000000); /* the client does not read */
	assert_false(took);
	rig_do(g, do_drop);
	assert_true(read_all(fd) < 10000000);
	close(fd);
	rig_wait(g, &g->seen.conns, 0);
	assert_int_equal(g->seen.gone, 0);
	rig_free(g);
}

static void test_stalled(UNUSED void **state)
{
	struct rig *g = rig_new(&(struct http_limits){ 1 << 20, 16384, 64, 60, 60, 3 });
	struct rig_answer a;
	int idle = stream_open(g, "1.1", &a), fd = stream_open(g, "1.1", &a);
	/* kept full: after refusing, the kernel accepts more for a while, and a client that reads everything is not stalled */
	for (int i = 0; i < 12000 && rig_look(g)->gone == 0; i++) {
		write_some(g, 10000000);
		usleep(5000);
	}
	assert_int_equal(g->seen.gone, 1); /* after the idle timeout; a stream without queued data stays open */
	assert_int_equal(rig_look(g)->conns, 1);
	close(fd);
	close(idle);
	rig_free(g);
}

static void test_server_freed(UNUSED void **state)
{
	struct rig *g = rig_new(NULL);
	struct rig_answer a;
	int fd = stream_open(g, "1.1", &a);
	rig_do(g, rig_do_free);
	assert_int_equal(g->gone, 1);
	assert_true(rig_closed(fd, true));
	close(fd);
	rig_free(g);
}

/* --- the ring */

static void add(struct ring *r, unsigned n, size_t bytes)
{
	struct event e = { .topic = "t", .user_id = "u" };
	struct blob *b = blob_new(NULL, bytes);
	memset(b->data, 'x', bytes);
	snprintf(e.id, sizeof e.id, "abc-%u", n);
	ring_add(r, &e, b);
	blob_unref(b);
}

static void test_ring_of_recent_events(UNUSED void **state)
{
	struct ring *r = ring_new("abc-5");
	size_t at;
	char first[24];
	assert_string_equal(ring_last_id(r), "abc-5");
	assert_int_equal(ring_find(r, "abc-5", &at), RING_KNOWN);
	assert_int_equal(at, 0);
	assert_int_equal(ring_find(r, "abc-4", &at), RING_TOO_OLD);
	assert_int_equal(ring_find(r, "abc-6", &at), RING_FOREIGN);
	for (unsigned i = 6; i < 16; i++)
		add(r, i, 10);
	assert_int_equal(ring_find(r, "abc-5", &at), RING_KNOWN);
	assert_int_equal(at, 0);
	assert_int_equal(ring_find(r, "abc-9", &at), RING_KNOWN);
	assert_string_equal(ring_at(r, at)->id, "abc-10");
	assert_int_equal(ring_find(r, "abc-15", &at), RING_KNOWN);
	assert_int_equal(at, ring_count(r));
	static const char *const foreign[] = { "abc-16", "abd-9", "ab-9", "abc", "-9", "abc-", "abc-x", "", "abc-9-9", "abcabcabcabcabcabcabcabcabc-1" };
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		assert_int_equal(ring_find(r, foreign[i], &at), RING_FOREIGN);
		assert_int_equal(at, 0);
	}
	for (unsigned i = 16; i < 16 + RING_EVENTS; i++)
		add(r, i, 10);
	assert_int_equal(ring_count(r), RING_EVENTS);
	assert_string_equal(ring_at(r, 0)->id, "abc-16");
	ring_first_id(r, first);
	assert_string_equal(first, "abc-15");
	assert_int_equal(ring_find(r, first, &at), RING_KNOWN);
	assert_int_equal(ring_find(r, "abc-14", &at), RING_TOO_OLD);
	/* bytes are bounded too, and an event that is too large leaves a gap */
	add(r, 5000, RING_BYTES - 100);
	assert_true(ring_count(r) <= 11);
	add(r, 5001, RING_BYTES + 1);
	assert_int_equal(ring_count(r), 0);
	assert_int_equal(ring_find(r, "abc-5000", &at), RING_TOO_OLD);
	assert_int_equal(ring_find(r, "abc-5001", &at), RING_KNOWN);
	ring_free(r);
	ring_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goes_on_and_ends), cmocka_unit_test(test_head_is_short), cmocka_unit_test(test_client_gone),
		cmocka_unit_test(test_bound_and_drop),	 cmocka_unit_test(test_stalled),       cmocka_unit_test(test_server_freed),
		cmocka_unit_test(test_ring_of_recent_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
