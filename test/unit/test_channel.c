#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/errs.h"
#include "sys/channel.h"
#include "test/lib/loop_rig.h"

static struct loop *loop;
static struct channel *a, *b;
static int raw; /* the descriptor with which a test plays the peer */
static int frames, closed, want;
static size_t bytes;
static uint32_t sum, last_kind;
static int got_fd;

static void on_frame(uint8_t kind, const char *data, size_t len, const int *fds, size_t nfds, void *arg)
{
	frames++;
	bytes += len;
	last_kind = kind;
	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + (unsigned char)data[i];
	assert_int_equal(data[len], 0);
	if (nfds)
		got_fd = fds[0];
	if (frames >= want)
		loop_stop(loop);
}
static void on_closed(void *arg)
{
	closed++;
	loop_stop(loop);
}
static size_t fds_max(uint8_t kind, void *arg)
{
	return kind == 'x' ? 1 : 0;
}
static const struct channel_events events = { on_frame, on_closed, fds_max }, none = { on_frame, on_closed };

static void run(int ms)
{
	loop_rig_run_ms(loop, ms);
}

static int make(void **state)
{
	int fds[2];
	loop = loop_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	a = channel_new(loop, fds[0], &events, NULL);
	raw = fds[1];
	b = NULL;
	frames = closed = 0;
	bytes = sum = 0;
	got_fd = -1;
	want = 1;
	return 0;
}
static int unmake(void **state)
{
	channel_free(a);
	channel_free(b);
	if (!b)
		close(raw);
	loop_free(loop);
	return 0;
}

static void test_many_frames_of_every_size(void **state)
{
	uint32_t expect = 0;
	size_t total = 0;
	static const size_t sizes[] = { 0, 1, 7, 8, 4095, 16384, 300000, 1 << 20, 5, 8u << 20 };
	b = channel_new(loop, raw, &events, NULL);
	want = (int)ARRAY_LEN(sizes);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char *data = xmalloc(sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++) {
			data[k] = (char)(i + k * 7);
			expect = expect * 31 + (unsigned char)data[k];
		}
		total += sizes[i];
		assert_int_equal(channel_send(a, (uint8_t)(65 + i), data, sizes[i], NULL, 0), 0);
		free(data);
	}
	run(5000);
	assert_int_equal(frames, want);
	assert_int_equal(bytes, total);
	assert_int_equal(sum, expect);
	assert_int_equal(last_kind, 65 + ARRAY_LEN(sizes) - 1);
}

/* Between other frames, longer than one read: wiping one does not damage its neighbours, and a queue that is dropped is wiped too. */
static void test_secret_frames_arrive(void **state)
{
	uint32_t expect = 0;
	static char data[100000];
	b = channel_new(loop, raw, &events, NULL);
	want = 40;
	for (int i = 0; i < want; i++) {
		size_t len = (size_t)(i * 7919) % sizeof data;
		for (size_t k = 0; k < len; k++) {
			data[k] = (char)((size_t)i + k * 13);
			expect = expect * 31 + (unsigned char)data[k];
		}
		assert_int_equal(i % 3 ? channel_send_secret(a, 'S', data, len) : channel_send(a, 'S', data, len, NULL, 0), 0);
	}
	run(5000);
	assert_int_equal(frames, want);
	assert_int_equal(sum, expect);
	assert_int_equal(channel_send_secret(a, 'S', data, CHANNEL_FRAME_MAX + 1), -ERR_TOO_LARGE);
	for (int i = 0; i < 30; i++)
		assert_int_equal(channel_send_secret(a, 'S', data, sizeof data), 0);
}

static void test_descriptors_arrive_with_their_frame(void **state)
{
	int pipe_fds[2];
	char c = 0;
	b = channel_new(loop, raw, &events, NULL);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(channel_send(a, 'x', "hello", 5, &pipe_fds[0], 1), 0);
	run(2000);
	assert_true(got_fd >= 0 && got_fd != pipe_fds[0]);
	assert_int_equal(write(pipe_fds[1], "z", 1), 1);
	assert_int_equal(read(got_fd, &c, 1), 1);
	assert_int_equal(c, 'z');
	assert_int_equal(fcntl(got_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(got_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_too_large_and_full_are_refused(void **state)
{
	char *big = xcalloc(1, CHANNEL_FRAME_MAX + 1);
	assert_int_equal(channel_send(a, 'x', big, CHANNEL_FRAME_MAX + 1, NULL, 0), -ERR_TOO_LARGE);
	int rc = 0;
	for (int i = 0; i < 10 && rc == 0; i++)
		rc = channel_send(a, 'x', big, CHANNEL_FRAME_MAX, NULL, 0);
	assert_int_equal(rc, -ERR_BUSY);
	free(big);
}

static void test_invalid_frame_closes_the_channel(void **state)
{
	assert_int_equal(write(raw, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 8);
	run(2000);
	assert_int_equal(closed, 1);
	assert_int_equal(frames, 0);
	assert_int_equal(channel_send(a, 'x', "", 0, NULL, 0), -ERR_UNAVAILABLE);
}

static void test_half_a_frame_then_end(void **state)
{
	assert_int_equal(write(raw, "\x10\0\0\0A\0\0\0half", 12), 12);
	shutdown(raw, SHUT_WR);
	run(2000);
	assert_int_equal(closed, 1);
	assert_int_equal(frames, 0);
}

static void test_missing_descriptor_closes_the_channel(void **state)
{
	assert_int_equal(write(raw, "\x01\0\0\0A\x01\0\0z", 9), 9);
	run(2000);
	assert_int_equal(closed, 1);
}

/* The number of open descriptors of this process. */
static int open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A hand-made frame of this kind, which announces `said` descriptors and carries `n`. */
static void send_raw(uint8_t kind, uint8_t said, size_t n)
{
	char frame[9] = { 1, 0, 0, 0, (char)kind, (char)said, 0, 0, 'z' };
	struct iovec iov = { frame, sizeof frame };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * 16)];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[16];
	for (size_t i = 0; i < n; i++)
		fds[i] = 0;
	if (n) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * n);
	}
	assert_int_equal(sendmsg(raw, &m, MSG_NOSIGNAL), sizeof frame);
}

static void test_unexpected_descriptors_end_the_channel(void **state)
{
	static const struct {
		bool may; /* 'x' may carry one */
		uint8_t kind, said;
		size_t n;
	} cases[] = {
		{ true, 'x', 0, 1 },  { true, 'x', 1, 2 },  { true, 'x', 2, 2 },  { true, 'L', 0, 1 },	 { true, 'L', 1, 1 },
		{ true, 'L', 4, 4 },  { true, 'x', 0, 16 }, { false, 'x', 1, 1 }, { false, 'x', 0, 1 },	 { false, 'C', 4, 4 },
		{ false, 'C', 0, 4 }, { false, 'C', 0, 16 }, { false, 'L', 0, 3 }, { false, 'C', 1, 1 }, { true, 'x', 1, 16 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unmake(NULL);
		make(NULL);
		if (!cases[i].may) {
			channel_free(a);
			close(raw);
			int fds[2];
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
			a = channel_new(loop, fds[0], &none, NULL);
			raw = fds[1];
		}
		int before = open_fds();
		want = 100;
		/* the same behind a valid frame */
		if (i % 2)
			send_raw('C', 0, 0);
		send_raw(cases[i].kind, cases[i].said, cases[i].n);
		run(2000);
		if (got_fd >= 0) /* the allowed one was delivered before the excess was detected */
			close(got_fd);
		if (closed != 1 || !channel_fault(a) || open_fds() != before)
			fail_msg("case %zu: closed %d, %d descriptors more, %s", i, closed, open_fds() - before,
				 channel_fault(a) ? channel_fault(a) : "no fault");
	}
}

/* A compromised peer repeats it: of 500 frames with four descriptors each, none is kept. */
static void test_flood_of_descriptors_leaves_none_open(void **state)
{
	int before = open_fds();
	fcntl(raw, F_SETFL, O_NONBLOCK);
	want = 1000;
	send_raw('C', 4, 4);
	send_raw('C', 4, 4);
	run(2000);
	assert_int_equal(closed, 1);
	assert_int_equal(frames, 0);
	assert_int_equal(open_fds(), before);
}

/* Frames that must not be lost have a reserve; the channel to a peer that never reads ends. */
static void test_control_frames_have_a_reserve(void **state)
{
	char *big = xcalloc(1, CHANNEL_FRAME_MAX);
	while (channel_send(a, 'x', big, CHANNEL_FRAME_MAX, NULL, 0) == 0)
		;
	while (channel_send(a, 'x', big, 10000, NULL, 0) == 0)
		;
	int n = 0;
	while (channel_send_control(a, 'x', big, 10000) == 0)
		n++;
	assert_in_range(n, 90, 110);
	run(2000);
	assert_int_equal(closed, 1);
	assert_string_equal(channel_fault(a), "the peer does not read, and the send queue is full");
	free(big);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, unmake)
	const struct CMUnitTest tests[] = {
		T(test_many_frames_of_every_size), T(test_secret_frames_arrive), T(test_descriptors_arrive_with_their_frame), T(test_too_large_and_full_are_refused),
		T(test_invalid_frame_closes_the_channel),	   T(test_half_a_frame_then_end),		 T(test_missing_descriptor_closes_the_channel),
		T(test_unexpected_descriptors_end_the_channel), T(test_flood_of_descriptors_leaves_none_open), T(test_control_frames_have_a_reserve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
