/* A pair whose peer is a compromised server: it sends hand-made frames, floods, does not read, passes descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/pair.h"
#include "bus/pair_source.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "sys/channel.h"

#define SERVED_MAX 16

static struct loop *loop;
static struct bus *bus;
static struct pair *ours;
static struct channel *theirs;
static int closed, replies, held_n;
static size_t answer_bytes;
static bool hold;
static struct call *held[2 * SERVED_MAX];
static char last[400];

static void on_time(UNUSED void *arg)
{
	loop_stop(loop);
}

static bool spin_until(bool (*f)(void))
{
	struct loop_timer *t = loop_timer_new(loop, on_time, NULL);
	int64_t end = clock_mono_ms() + 10000;
	while (!f() && clock_mono_ms() < end) {
		loop_timer_set(t, 2);
		loop_run(loop);
	}
	loop_timer_free(t);
	return f();
}

static void on_pair_closed(UNUSED void *arg)
{
	closed++;
}

static void on_their_frame(uint8_t kind, const char *data, size_t len, UNUSED const int *fds, UNUSED size_t n, UNUSED void *arg)
{
	replies += kind == 'R';
	if (kind == 'R')
		snprintf(last, sizeof last, "%.*s", (int)MIN(len, sizeof last - 1), data);
}

static void on_their_end(UNUSED void *arg)
{
}

static void handle(struct call *c, UNUSED void *ctx)
{
	if (hold) {
		assert_true(held_n < (int)ARRAY_LEN(held));
		held[held_n++] = c;
		return;
	}
	char *text = xcalloc(1, answer_bytes + 1);
	memset(text, 'x', answer_bytes);
	call_ok(c, json_pack("{s:s}", "text", text));
	free(text);
}

static int setup(UNUSED void **state)
{
	static const struct channel_events to_theirs = { on_their_frame, on_their_end };
	static const struct pair_events events = { .on_closed = on_pair_closed, .served_max = SERVED_MAX };
	int fds[2];
	loop = loop_new();
	bus = bus_new(loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ours = pair_new(loop, bus, fds[0], &events, NULL);
	theirs = channel_new(loop, fds[1], &to_theirs, NULL);
	bus_serve(bus, op_find("host.info"), handle, NULL);
	closed = replies = held_n = 0;
	answer_bytes = 10;
	hold = false;
	return 0;
}

static int teardown(UNUSED void **state)
{
	for (int n = 0; n < held_n; n++)
		call_ok(held[n], NULL);
	channel_free(theirs);
	pair_free(ours);
	bus_free(bus);
	loop_free(loop);
	return 0;
}

static void say_call(int number)
{
	char frame[200];
	int n = snprintf(frame, sizeof frame, "{\"id\":\"%d\",\"op\":\"host.info\",\"params\":[],\"ms\":60000}", number);
	assert_int_equal(channel_send(theirs, 'C', frame, (size_t)n, NULL, 0), 0);
}

static bool is_closed(void)
{
	return closed > 0;
}

static int open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_call_with_descriptors_ends_the_pair(UNUSED void **state)
{
	static const char frame[] = "{\"id\":\"1\",\"op\":\"host.info\",\"params\":[],\"ms\":60000}";
	static const uint8_t kinds[] = { 'C', 'R', 'X', 'E', 'L', 'W', 'F', 'w', 'p', 'e', 'd', 'z' };
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		teardown(NULL);
		setup(NULL);
		/* the flood is first queued here, with copies of its descriptors: only those of the other end count */
		int fds[4] = { 0, 1, 2, 0 }, before = open_fds();
		for (int n = 0; n < 500; n++)
			if (channel_send(theirs, kinds[k], frame, sizeof frame - 1, fds, 4) < 0)
				break;
		assert_true(spin_until(is_closed));
		assert_int_equal(closed, 1);
		assert_non_null(pair_fault(ours));
		channel_free(theirs);
		theirs = NULL;
		assert_true(open_fds() <= before - 1); /* its own end is closed, and nothing else is left */
	}
}

static bool all_held(void)
{
	return held_n == SERVED_MAX && replies == 3;
}

static bool five_replies(void)
{
	return replies >= 5;
}

static void test_pending_calls_are_bounded(UNUSED void **state)
{
	hold = true;
	for (int n = 0; n < SERVED_MAX + 3; n++)
		say_call(n);
	assert_true(spin_until(all_held));
	assert_non_null(strstr(last, "BUSY"));
	assert_non_null(strstr(last, "16 calls"));
	/* each answered call makes room for another */
	hold = false;
	call_ok(held[--held_n], NULL);
	say_call(100);
	assert_true(spin_until(five_replies));
	assert_null(strstr(last, "BUSY"));
}

static bool one_held(void)
{
	return held_n == 1;
}

static bool has_come(void)
{
	return replies >= 1;
}

/* The channel is full when the answer is ready: it arrives nevertheless, once the peer reads. */
static void test_reply_survives_a_full_channel(UNUSED void **state)
{
	static char line[1 << 20];
	hold = true;
	say_call(1);
	assert_true(spin_until(one_held));
	for (size_t n = sizeof line; n; n /= 2)
		while (pair_log(ours, line, n))
			;
	call_ok(held[--held_n], json_pack("{s:s}", "text", "the answer"));
	assert_true(spin_until(has_come));
	assert_non_null(strstr(last, "the answer"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_call_with_descriptors_ends_the_pair), T(test_pending_calls_are_bounded),
					    T(test_reply_survives_a_full_channel) };
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
