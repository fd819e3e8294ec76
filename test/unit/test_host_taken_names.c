/* Abstract X names of an instance's displays, held by its sesman, by a session leader, and by another process. Processes of this test imitate
 * the first two; no xrdp is needed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/observe/observed.h"
#include "lucid/str.h"

#define DISPLAYS 6

static struct host host;
static struct instance instance;
static struct observed see;
static int first, told, last_display;
static int64_t last_uid;

static void on_event(UNUSED void *arg, const char *topic, const char *id, const char *user, json_t *consume_data)
{
	assert_string_equal(topic, "xrdp.display.taken");
	assert_string_equal(id, instance.id);
	assert_string_equal(user, "olga");
	last_display = (int)doc_int(consume_data, "display", 0);
	last_uid = doc_int(consume_data, "holder_uid", -1);
	told++;
	json_decref(consume_data);
}

/* A socket with that abstract name; `len` bytes of it. */
static int hold(int type, const char *name, size_t len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	memcpy(a.sun_path + 1, name, len);
	int fd = socket(AF_UNIX, type, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)), 0);
	return fd;
}

static int hold_display(int n)
{
	char name[64];
	return hold(SOCK_STREAM, name, (size_t)snprintf(name, sizeof name, "/tmp/.X11-unix/X%d", n));
}

/* A process that holds the names of displays `from` to `to`, until it is killed. */
static pid_t holder(int from, int to)
{
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int n = from; n <= to; n++)
			hold_display(n);
		if (write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	assert_true(pid > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int set_up(UNUSED void **state)
{
	first = 20000 + getpid() % 600 * 64;
	told = last_display = 0;
	last_uid = -1;
	host = (struct host){ .on_event = on_event };
	instance = (struct instance){ .host = &host, .id = "3ed3a9cb-0000-4000-8000-000000000001", .user_id = (char *)(uintptr_t)"olga",
				      .desks = true, .display_first = first, .display_count = DISPLAYS, .observed = &see };
	instance.spec = json_pack("{s:{s:i}}", "desktop", "max_sessions", 2);
	see = (struct observed){ 0 };
	list_init(&see.desktops);
	return 0;
}

static int tear_down(UNUSED void **state)
{
	json_decref(instance.spec);
	return 0;
}

static void assert_taken(const char *expected)
{
	_cleanup_(doc_unrefp) json_t *list = taken_names_doc(&instance);
	_cleanup_(xfreep) char *text = doc_text(list);
	assert_string_equal(text, expected);
}

static struct desktop desktop_on(int display, pid_t leader)
{
	return (struct desktop){ .instance = &instance, .display = display, .leader = leader };
}

static void test_lowest_display_costs_no_look(UNUSED void **state)
{
	struct desktop zero = desktop_on(first, 0), one = desktop_on(first + 1, 0);
	int fd = hold_display(first + 3);
	list_append(&see.desktops, &zero.node);
	taken_names_given(&instance, first);
	list_append(&see.desktops, &one.node);
	taken_names_given(&instance, first + 1);
	taken_names_sweep(&instance);
	assert_int_equal(see.taken_ms, 0);
	assert_int_equal(told, 0);
	close(fd);
}

static void test_names_of_sesman_and_of_leaders_are_not_taken(UNUSED void **state)
{
	pid_t leader = holder(first, first), sesman = holder(first + 1, first + DISPLAYS - 1);
	struct desktop zero = desktop_on(first, leader), two = desktop_on(first + 2, 0);
	list_append(&see.desktops, &zero.node);
	list_append(&see.desktops, &two.node);
	instance.sesman.pid = sesman;
	taken_names_given(&instance, first + 2);
	assert_int_not_equal(see.taken_ms, 0);
	assert_int_equal(told, 0);
	assert_taken("[]");
	end(leader);
	end(sesman);
}

static void test_a_strangers_name_is_told_of_once_until_it_is_free(UNUSED void **state)
{
	char text[32];
	pid_t sesman = holder(first + 1, first + DISPLAYS - 1);
	int fd = hold_display(first); /* after the fork, which would inherit it */
	struct desktop one = desktop_on(first + 1, 0);
	list_append(&see.desktops, &one.node);
	instance.sesman.pid = sesman;
	taken_names_given(&instance, first + 1);
	taken_names_given(&instance, first + 1);
	assert_int_equal(told, 1);
	assert_int_equal(last_display, first);
	assert_int_equal(last_uid, geteuid());
	snprintf(text, sizeof text, "[%d]", first);
	assert_taken(text);
	close(fd);
	see.taken_ms = 0;
	taken_names_sweep(&instance);
	assert_taken("[]");
	fd = hold_display(first);
	taken_names_given(&instance, first + 1);
	assert_int_equal(told, 2);
	close(fd);
	end(sesman);
}

/* A listener and a client, which holds the name of its own end. */
static void test_a_connected_socket_holds_a_name_too(UNUSED void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int server = hold_display(first), client = hold_display(first + 2);
	socklen_t len = sizeof a;
	struct desktop one = desktop_on(first + 1, 0);
	list_append(&see.desktops, &one.node);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&a, len), 0);
	taken_names_given(&instance, first + 1);
	char text[32];
	snprintf(text, sizeof text, "[%d,%d]", first, first + 2);
	assert_taken(text);
	close(client);
	close(server);
}

static void test_names_that_only_look_alike_are_not_taken(UNUSED void **state)
{
	char name[64];
	int n = snprintf(name, sizeof name, "/tmp/.X11-unix/X%d", first);
	int fds[] = { hold(SOCK_DGRAM, name, (size_t)n), hold(SOCK_STREAM, name, (size_t)n + 1), -1, -1 };
	n = snprintf(name, sizeof name, "/tmp/.X11-unix/X0%d", first);
	fds[2] = hold(SOCK_STREAM, name, (size_t)n);
	fds[3] = hold_display(first + DISPLAYS);
	taken_names_given(&instance, first + 1);
	assert_int_not_equal(see.taken_ms, 0);
	assert_int_equal(told, 0);
	for (size_t k = 0; k < ARRAY_LEN(fds); k++)
		close(fds[k]);
}

/* With two sessions, sesman tries three displays. */
static void test_no_display_is_left_when_each_is_in_use_or_taken(UNUSED void **state)
{
	struct desktop zero = desktop_on(first, 0);
	assert_false(taken_names_exhausted(&instance));
	int one = hold_display(first + 1), two = hold_display(first + 2);
	assert_false(taken_names_exhausted(&instance));
	assert_int_equal(told, 2);
	list_append(&see.desktops, &zero.node);
	assert_true(taken_names_exhausted(&instance));
	close(two);
	assert_false(taken_names_exhausted(&instance));
	close(one);
}

static void test_an_instance_that_holds_no_names_is_not_looked_at(UNUSED void **state)
{
	int fd = hold_display(first);
	instance.desks = false;
	taken_names_given(&instance, first + 1);
	assert_false(taken_names_exhausted(&instance));
	assert_int_equal(see.taken_ms, 0);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_lowest_display_costs_no_look),
		TEST(test_names_of_sesman_and_of_leaders_are_not_taken),
		TEST(test_a_strangers_name_is_told_of_once_until_it_is_free),
		TEST(test_a_connected_socket_holds_a_name_too),
		TEST(test_names_that_only_look_alike_are_not_taken),
		TEST(test_no_display_is_left_when_each_is_in_use_or_taken),
		TEST(test_an_instance_that_holds_no_names_is_not_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
