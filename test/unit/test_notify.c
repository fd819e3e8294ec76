/* Messages to the service manager, and that nothing happens without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/notify.h"

static int manager(struct sockaddr_un *ret)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof ret->sun_path, "/tmp/lrdp-notify-%d", (int)getpid());
	unlink(ret->sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)ret, sizeof *ret), 0);
	return fd;
}

static void hears(int fd, const char *what)
{
	char buf[512] = "";
	assert_true(recv(fd, buf, sizeof buf - 1, 0) > 0);
	assert_string_equal(buf, what);
}

static void manager_is_notified(void **state)
{
	struct sockaddr_un a;
	_cleanup_(closep) int fd = manager(&a);
	char buf[256] = "";
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	notify_ready("two\nREADY=0");
	hears(fd, "READY=1\nSTATUS=two READY=0");
	notify_ready(NULL);
	hears(fd, "READY=1");
	notify_status("busy");
	hears(fd, "STATUS=busy");
	notify_watchdog();
	hears(fd, "WATCHDOG=1");
	notify_stopping();
	hears(fd, "STOPPING=1");
	notify_reloading();
	assert_true(recv(fd, buf, sizeof buf - 1, 0) > 0);
	assert_memory_equal(buf, "RELOADING=1\nMONOTONIC_USEC=", 27);
	unsetenv("NOTIFY_SOCKET");
	unlink(a.sun_path);
}

static void alone(void **state)
{
	int fds[NOTIFY_FDS_MAX];
	char *names[NOTIFY_FDS_MAX];
	unsetenv("NOTIFY_SOCKET");
	notify_ready("nobody hears");
	notify_stopping();
	assert_int_equal(notify_watchdog_us(), 0);
	assert_int_equal(notify_listen_fds(fds, names), 0);
}

static void sockets_are_passed_by_name(void **state)
{
	int fds[NOTIFY_FDS_MAX];
	char *names[NOTIFY_FDS_MAX], pid[32];
	/* descriptors 3 and 4 are those that a manager passes */
	int saved[2] = { dup(3), dup(4) };
	assert_true(dup2(0, 3) == 3 && dup2(1, 4) == 4);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "rdp-server-manager:xrdp-integration", 1);
	assert_int_equal(notify_listen_fds(fds, names), 2);
	assert_int_equal(fds[0], 3);
	assert_string_equal(names[0], "rdp-server-manager");
	assert_string_equal(names[1], "xrdp-integration");
	assert_null(getenv("LISTEN_FDS"));
	free(names[0]);
	free(names[1]);
	for (int i = 0; i < 2; i++) {
		close(3 + i);
		if (saved[i] >= 0 && dup2(saved[i], 3 + i) < 0)
			fail();
	}
	setenv("WATCHDOG_USEC", "3000000", 1);
	assert_int_equal(notify_watchdog_us(), 3000000);
	unsetenv("WATCHDOG_USEC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manager_is_notified),
		cmocka_unit_test(alone),
		cmocka_unit_test(sockets_are_passed_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
