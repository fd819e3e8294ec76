/* Sources over a pair whose peer breaks the rules: invalid requests cost nothing, and nothing is left open. For the rules themselves see
 * test/contract/bus_streams.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>

#include "bus/pair_source.h"
#include "lucid/str.h"

static struct loop *loop;
static struct channel *ours, *theirs;
static struct pair_sources *sources;
static int open_sources, wants, heard[256];
static size_t last_len;

static void on_ours(uint8_t kind, const char *data, size_t len, UNUSED const int *fds, UNUSED size_t n, UNUSED void *arg)
{
	pair_source_frame(sources, kind, data, len);
}

static void on_theirs(uint8_t kind, UNUSED const char *data, size_t len, UNUSED const int *fds, UNUSED size_t n, UNUSED void *arg)
{
	heard[kind]++;
	last_len = len;
}

static void on_closed(UNUSED void *arg)
{
}

static struct {
	struct loop_timer *timer;
	int left;
} turns;

static void on_timer(UNUSED void *arg)
{
	if (--turns.left > 0)
		loop_timer_set(turns.timer, 1);
	else
		loop_stop(loop);
}

/* Run n turns of the loop. Both ends of the channel are on it, so the number of turns is sufficient, not their time. */
static void turn(int n)
{
	turns.left = n;
	turns.timer = loop_timer_new(loop, on_timer, NULL);
	loop_timer_set(turns.timer, 1);
	loop_run(loop);
	loop_timer_free(turns.timer);
}

static void say(uint8_t kind, const char *number, size_t more)
{
	static char frame[2 * SOURCE_PIECE];
	size_t n = strlen(number) + 1;
	memcpy(frame, number, n);
	assert_int_equal(channel_send(theirs, kind, frame, n + more, NULL, 0), 0);
}

static int setup(UNUSED void **state)
{
	static const struct channel_events to_ours = { on_ours, on_closed }, to_theirs = { on_theirs, on_closed };
	int fds[2];
	loop = loop_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ours = channel_new(loop, fds[0], &to_ours, NULL);
	theirs = channel_new(loop, fds[1], &to_theirs, NULL);
	sources = pair_sources_new(loop, ours);
	open_sources = wants = 0;
	memset(heard, 0, sizeof heard);
	return 0;
}

static int teardown(UNUSED void **state)
{
	pair_sources_free(sources);
	channel_free(ours);
	channel_free(theirs);
	assert_int_equal(open_sources, 0);
	loop_free(loop);
	return 0;
}

/* --- a source without an end */

static void want(struct source *s, UNUSED void *ctx)
{
	wants++;
	source_put(s, blob_new("piece", 5));
}

static void closed(UNUSED void *ctx)
{
	open_sources--;
}

static struct source *endless(void)
{
	static const struct source_ops ops = { want, closed };
	open_sources++;
	return source_new(loop, &ops, NULL);
}

static bool go_out(const char *number)
{
	struct source *s = endless();
	bool went = pair_source_out(sources, number, s);
	source_unref(s);
	return went;
}

static void a_number_twice(UNUSED void **state)
{
	assert_true(go_out("7"));
	for (int i = 0; i < 1000; i++)
		assert_false(go_out("7"));
	assert_int_equal(open_sources, 1);
	say('w', "7", 0);
	turn(10);
	assert_int_equal(heard['p'], 1);
	assert_int_equal(last_len, 2 + 5);
	say('d', "7", 0);
	turn(10);
	assert_int_equal(open_sources, 0);
	assert_true(go_out("7"));
}

static void as_many_as_there_may_be(UNUSED void **state)
{
	char number[24];
	int n = 0;
	for (; n < 10000; n++) {
		snprintf(number, sizeof number, "%d", n);
		if (!go_out(number))
			break;
	}
	assert_int_equal(n, 256);
	assert_int_equal(open_sources, n);
}

static void one_piece_a_question(UNUSED void **state)
{
	assert_true(go_out("1"));
	for (int i = 0; i < 50; i++) /* repeated requests while a piece is in flight count as one */
		say('w', "1", 0);
	turn(20);
	assert_in_range(wants, 1, 50);
	assert_int_equal(heard['p'], wants);
	say('w', "2", 0); /* an unknown source */
	say('d', "2", 0);
	say('w', "a number that is much longer than any of ours", 0);
	turn(10);
	assert_int_equal(heard['p'], wants);
}

static int pieces, ends;
static void got(struct blob *piece, UNUSED int err, UNUSED const char *why, UNUSED void *arg)
{
	pieces += piece != NULL;
	ends += !piece;
}

static void pieces_that_nobody_asked_for(UNUSED void **state)
{
	struct source *s = pair_source_in(sources, "3");
	pieces = ends = 0;
	say('p', "3", 10);
	turn(10);
	source_read(s, got, NULL);
	turn(10);
	assert_int_equal(pieces, 0);
	assert_int_equal(heard['w'], 1);
	say('p', "3", 0); /* empty, and larger than allowed */
	say('p', "3", SOURCE_PIECE + 1);
	turn(10);
	assert_int_equal(pieces, 0);
	say('p', "3", SOURCE_PIECE);
	say('p', "3", SOURCE_PIECE);
	turn(10);
	assert_int_equal(pieces, 1);
	say('e', "3", 5); /* an end without error that has a reason */
	source_read(s, got, NULL);
	turn(10);
	assert_int_equal(ends, 1);
	source_close(s);
	turn(10);
	assert_int_equal(heard['d'], 0); /* it has ended there too */
}

/* The channel is full for a while: answers meanwhile, an end as well as a piece, arrive nevertheless. */
static void a_full_channel(UNUSED void **state)
{
	static char much[1 << 20];
	struct source *empty = endless();
	source_end(empty);
	assert_true(go_out("8"));
	assert_true(pair_source_out(sources, "9", empty));
	source_unref(empty);
	for (size_t n = sizeof much; n; n /= 2)
		while (channel_send(ours, 'x', much, n, NULL, 0) == 0)
			;
	pair_source_frame(sources, 'w', "8", 2); /* as if they had just arrived */
	pair_source_frame(sources, 'w', "9", 2);
	for (int i = 0; i < 100 && !heard['e']; i++)
		turn(20);
	assert_int_equal(heard['p'], 1);
	assert_int_equal(heard['e'], 1);
	assert_int_equal(open_sources, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(a_number_twice), T(as_many_as_there_may_be), T(one_piece_a_question), T(pieces_that_nobody_asked_for),
					    T(a_full_channel) };
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
