/* Accepting without free descriptors: the loop pauses instead of spinning, and the reserve is used to refuse a client. accept4 here replaces
 * the library's, so that each call is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "sys/accept.h"

static struct loop *loop;
static int listen_fd, calls, accepted, fail_with;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	calls++;
	if (fail_with) {
		errno = fail_with;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, sa, len, flags);
}

static void on_connection(int fd, UNUSED void *arg)
{
	accepted++;
	close(fd);
}

static void on_time(UNUSED void *arg)
{
	loop_stop(loop);
}

static void spin(int ms)
{
	struct loop_timer *t = loop_timer_new(loop, on_time, NULL);
	loop_timer_set(t, ms);
	loop_run(loop);
	loop_timer_free(t);
}

static int set_up(UNUSED void **state)
{
	loop = loop_new();
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa_family_t); /* the kernel chooses the name */
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, len) | listen(listen_fd, 16), 0);
	len = sizeof address;
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &len), 0);
	calls = accepted = fail_with = 0;
	return 0;
}

static int tear_down(UNUSED void **state)
{
	close(listen_fd);
	loop_free(loop);
	return 0;
}

static int client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(sa_family_t) + 6), 0);
	return fd;
}

static void test_starved_loop_does_not_spin(UNUSED void **state)
{
	static const int errs[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, EPERM, EINVAL };
	for (size_t n = 0; n < ARRAY_LEN(errs); n++) {
		struct accepter *a = accepter_new(loop, listen_fd, "a test", on_connection, NULL);
		int fd = client();
		int64_t began = clock_mono_ms();
		calls = accepted = 0;
		fail_with = errs[n];
		spin(500);
		/* in each pause at most one attempt and one with the reserve, however long this machine took */
		assert_in_range(calls, 1, 2 * ((clock_mono_ms() - began) / ACCEPT_PAUSE_MS + 1));
		fail_with = 0;
		for (int tries = 0; tries < 100 && !accepted; tries++)
			spin(20);
		assert_int_equal(accepted, 1); /* it is accepted as soon as a descriptor is free */
		close(fd);
		accepter_free(a);
	}
}

static bool is_closed(int fd)
{
	char c;
	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void test_reserve_closes_what_cannot_be_served(UNUSED void **state)
{
	struct rlimit was, none;
	struct accepter *a = accepter_new(loop, listen_fd, "a test", on_connection, NULL);
	int fds[3] = { client(), client(), client() }, lowest = dup(0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)lowest;
	/* use all descriptors below the limit, so that only the reserve is left */
	int fill[64], n = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	while (n < (int)ARRAY_LEN(fill) && (fill[n] = dup(0)) >= 0)
		n++;
	for (int tries = 0; tries < 200 && !is_closed(fds[2]); tries++)
		spin(20);
	bool all = is_closed(fds[2]);
	setrlimit(RLIMIT_NOFILE, &was);
	while (n)
		close(fill[--n]);
	assert_true(all);
	assert_int_equal(accepted, 0);
	for (int k = 0; k < 3; k++)
		close(fds[k]);
	/* and the reserve is available again */
	int fd = client();
	for (int tries = 0; tries < 100 && !accepted; tries++)
		spin(20);
	assert_int_equal(accepted, 1);
	close(fd);
	accepter_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_starved_loop_does_not_spin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reserve_closes_what_cannot_be_served, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
