/* redis_link, against an imitated server that sends scripted answers: login, answers of every kind, and programs that are not Redis. For the real
 * one see test/system/test_redis.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "redis/link.h"
#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/str.h"
#include "net/resolve.h"

#define LOGIN "+OK\r\n+OK\r\n"

static struct loop *loop;
static struct resolver *resolver;
static struct redis_link *link_;
static char path[64];
static struct redis_url url;
static int listener, client, dialled;
static struct loop_io *listener_io, *client_io;
static const char *script[8]; /* the answer to each read, in order; NULL: none */
static size_t step;
static char got[4096]; /* the client's commands */
static int ups, downs;
static char messages[256], answers[512];
static int nanswers;

/* --- the server */

static void hang_up(void)
{
	loop_io_free(TAKE_PTR(client_io));
	fd_close(&client);
}

static void on_client(int events, void *arg)
{
	size_t n = strlen(got);
	ssize_t r = read(client, got + n, sizeof got - 1 - n);
	if (r <= 0) {
		hang_up();
		return;
	}
	got[n + (size_t)r] = 0;
	const char *answer = step < ARRAY_LEN(script) ? script[step++] : NULL;
	if (answer && str_eq(answer, "close"))
		hang_up();
	else if (answer)
		assert_int_equal(write(client, answer, strlen(answer)), strlen(answer));
}

static void on_listener(int events, void *arg)
{
	if (client >= 0)
		hang_up();
	client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	client_io = loop_io_new(loop, client, LOOP_READ, on_client, NULL);
	dialled++;
	step = 0;
	got[0] = 0;
}

/* --- the client */

static void on_state(bool up, void *arg)
{
	ups += up;
	downs += !up;
}

static void on_message(const char *channel, const char *data, size_t len, void *arg)
{
	size_t n = strlen(messages);
	assert_int_equal(strlen(data), len);
	snprintf(messages + n, sizeof messages - n, "%s=%s;", channel, data);
}

static void write_answer(char *dst, size_t size, const struct redis_answer *a)
{
	static const char *const kinds[] = { "nothing", "nil", "number", "text", "list", "fault" };
	size_t n = strlen(dst);
	snprintf(dst + n, size - n, "%s", kinds[a->kind]);
	n = strlen(dst);
	if (a->kind == REDIS_NUMBER)
		snprintf(dst + n, size - n, " %lld", (long long)a->number);
	else if (a->kind == REDIS_TEXT || a->kind == REDIS_FAULT)
		snprintf(dst + n, size - n, " %.20s", a->text);
	for (size_t i = 0; i < a->n; i++) {
		strcat(dst, i ? "," : "(");
		write_answer(dst, size, &a->items[i]);
	}
	strcat(dst, a->kind == REDIS_LIST ? ")" : "");
}

static void on_answer(const struct redis_answer *a, void *arg)
{
	nanswers++;
	if (strlen(answers) < sizeof answers / 2) {
		write_answer(answers, sizeof answers, a);
		strcat(answers, ";");
	}
	/* a command from this callback is refused if the connection is lost, and works if it is not */
	assert_int_equal(redis_ask(link_, 1, (const char *[]){ "AGAIN" }, NULL, NULL, NULL), a->kind == REDIS_NOTHING ? -ERR_UNAVAILABLE : 0);
}

static bool is_up(void)
{
	return redis_link_up(link_);
}

static bool is_answered(void)
{
	return nanswers > 0;
}

static bool is_down(void)
{
	return downs > 0;
}

static bool is_refused(void)
{
	return dialled > 1; /* it connected, was refused, and connected again */
}

static bool has_message(void)
{
	return messages[0];
}

static bool (*wanted)(void);
static struct loop_timer *tick;
static int64_t until_ms;

static void on_tick(void *arg)
{
	if (wanted() || clock_mono_ms() > until_ms)
		loop_stop(loop);
	else
		loop_timer_set(tick, 2);
}

static void wait_for(bool (*what)(void))
{
	wanted = what;
	until_ms = clock_mono_ms() + 8000;
	loop_timer_set(tick, 0);
	loop_run(loop);
	if (!what())
		fail_msg("waited in vain; the link says: it %s; sent was %s", redis_link_why(link_), got);
}

static void open_link(const char *const *channels)
{
	static const struct redis_link_events events = { on_state, on_message };
	link_ = redis_link_new(loop, resolver, &url, "test", channels, &events, NULL);
}

static int ask(const char *word)
{
	return redis_ask(link_, 1, &word, NULL, on_answer, NULL);
}

static int setup(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	loop = loop_new();
	resolver = resolver_new(loop);
	tick = loop_timer_new(loop, on_tick, NULL);
	snprintf(path, sizeof path, "/tmp/lrdp-redis-%d.sock", getpid());
	unlink(path);
	strcpy(sa.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(listener, 8), 0);
	listener_io = loop_io_new(loop, listener, LOOP_READ, on_listener, NULL);
	client = -1;
	memset(&url, 0, sizeof url);
	url.local = true;
	strcpy(url.host, path);
	memset(script, 0, sizeof script);
	script[0] = LOGIN;
	dialled = ups = downs = nanswers = 0;
	messages[0] = answers[0] = got[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	redis_link_free(link_);
	link_ = NULL;
	if (client >= 0)
		hang_up();
	loop_io_free(listener_io);
	close(listener);
	unlink(path);
	loop_timer_free(tick);
	resolver_free(resolver);
	loop_free(loop);
	return 0;
}

/* --- login */

/* The number of descriptors that a child program would inherit. */
static int inheritable(void)
{
	int n = 0;
	for (int fd = 3; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);
		n += flags >= 0 && !(flags & FD_CLOEXEC);
	}
	return n;
}

static void test_login(void **state)
{
	strcpy(url.user, "ann");
	strcpy(url.password, "p w");
	url.database = 3;
	script[0] = "+OK\r\n+OK\r\n+OK\r\n";
	int before = inheritable();
	open_link(NULL);
	assert_false(redis_link_up(link_));
	assert_int_equal(ask("EARLY"), -ERR_UNAVAILABLE);
	wait_for(is_up);
	assert_string_equal(got, "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$3\r\np w\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
				 "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$14\r\nlucid-rdp-test\r\n");
	assert_string_equal(redis_link_why(link_), "");
	assert_int_equal(ups, 1);
	assert_int_equal(inheritable(), before); /* hiredis does not set close-on-exec itself */
}

static void refused(const char *answer, const char *sentence)
{
	script[0] = answer;
	open_link(NULL);
	wait_for(is_refused);
	assert_non_null(strstr(redis_link_why(link_), sentence));
	assert_int_equal(ups, 0);
	assert_int_equal(downs, 0); /* it never was up */
}

static void test_wrong_password(void **state)
{
	strcpy(url.password, "secret");
	refused("-WRONGPASS invalid pair\r\n-NOAUTH x\r\n-NOAUTH x\r\n", "rejects the user or password of its URL: WRONGPASS");
	assert_null(strstr(redis_link_why(link_), "secret"));
}

static void test_no_password(void **state)
{
	refused("-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n", "requires a password, but its URL has none");
}

static void test_bad_database(void **state)
{
	url.database = 99;
	refused("-ERR DB index is out of range\r\n+OK\r\n", "refuses the database of its URL: ERR DB");
}

static void test_unnamed(void **state)
{
	script[0] = "+OK\r\n-NOPERM this user may not\r\n";
	open_link(NULL);
	wait_for(is_up);
}

static void test_full_server(void **state)
{
	refused("-ERR max number of clients reached\r\n", "max number of clients");
}

static void test_program_that_is_not_redis(void **state)
{
	refused("HTTP/1.1 400 Bad Request\r\n\r\n", "closed the connection: Protocol error");
}

static void test_closes(void **state)
{
	refused("close", "closed the connection: Server closed");
}

static void test_mute_at_login(void **state)
{
	refused(NULL, "has not answered for 500 ms");
}

static void test_connection_refused(void **state)
{
	loop_io_set(listener_io, 0);
	unlink(path);
	open_link(NULL);
	loop_timer_set(tick, 200);
	wanted = is_refused;
	until_ms = 0;
	loop_run(loop);
	assert_non_null(strstr(redis_link_why(link_), "is unreachable: No such file"));
}

static void test_no_name(void **state)
{
	url.local = false;
	url.port = 1;
	strcpy(url.host, "no-such-host.invalid");
	open_link(NULL);
	loop_timer_set(tick, 2500);
	wanted = is_refused;
	until_ms = 0;
	loop_run(loop);
	assert_non_null(strstr(redis_link_why(link_), "does not resolve"));
}

/* --- answers */

static void test_answers(void **state)
{
	static const char *const rows[][2] = {
		{ "+fine\r\n", "text fine;" }, { ":-7\r\n", "number -7;" }, { "$-1\r\n", "nil;" }, { "$0\r\n\r\n", "text ;" },
		{ "$3\r\na b\r\n", "text a b;" }, { "-NOSCRIPT no\r\n", "fault NOSCRIPT no;" }, { "*0\r\n", "list);" }, { "*-1\r\n", "nil;" },
		{ "*2\r\n:1\r\n*1\r\n:2\r\n", "list(number 1,list));" },
		{ "*10\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:10\r\n",
		  "list(number 1,number 2,number 3,number 4,number 5,number 6,number 7,number 8);" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		script[1] = rows[i][0];
		open_link(NULL);
		wait_for(is_up);
		assert_int_equal(ask("Q"), 0);
		assert_true(redis_link_waits_us(link_) >= 0);
		wait_for(is_answered);
		assert_string_equal(answers, rows[i][1]);
		redis_link_free(TAKE_PTR(link_));
		nanswers = ups = 0;
		answers[0] = 0;
	}
}

static void in_vain(const char *answer, const char *sentence)
{
	script[1] = answer;
	open_link(NULL);
	wait_for(is_up);
	assert_int_equal(ask("Q"), 0);
	wait_for(is_down);
	assert_string_equal(answers, "nothing;");
	assert_non_null(strstr(redis_link_why(link_), sentence));
	script[1] = "+back\r\n";
	wait_for(is_up); /* without help */
	answers[0] = 0;
	assert_int_equal(ask("Q"), 0);
	nanswers = 0;
	wait_for(is_answered);
	assert_string_equal(answers, "text back;");
}

static void test_mute(void **state)
{
	in_vain(NULL, "has not answered for 500 ms");
}

static void test_killed(void **state)
{
	in_vain("close", "closed the connection: Server closed");
}

static void test_truncated_answer(void **state)
{
	in_vain("$100\r\nnot a hundred", "has not answered");
}

static void test_nonsense(void **state)
{
	in_vain("%%%\r\n", "Protocol error");
}

static void test_endless_list(void **state)
{
	in_vain("*100000\r\n:1\r\n", "closed the connection");
}

static void test_endless_number(void **state)
{
	in_vain("*99999999999999999999\r\n", "closed the connection");
}

/* hiredis would abort the process for each of these. */
static void test_unrequested_answers(void **state)
{
	static const char *const rows[] = { "+OK\r\n+more\r\n", "+OK\r\n:1\r\n", "+OK\r\n$-1\r\n", "+OK\r\n*1\r\n:1\r\n", "+OK\r\n-ERR x\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		script[1] = rows[i];
		open_link(NULL);
		wait_for(is_up);
		redis_ask(link_, 1, (const char *[]){ "Q" }, NULL, NULL, NULL);
		wait_for(is_down);
		assert_non_null(strstr(redis_link_why(link_), rows[i][5] == '-' ? "ERR x" : "a reply without a request"));
		redis_link_free(TAKE_PTR(link_));
		downs = 0;
	}
}

static void test_bound(void **state)
{
	open_link(NULL);
	wait_for(is_up);
	loop_io_set(client_io, 0); /* it no longer reads */
	for (int i = 0; i < REDIS_MAX_PENDING; i++)
		assert_int_equal(redis_ask(link_, 1, (const char *[]){ "Q" }, NULL, on_answer, NULL), 0);
	assert_int_equal(ask("Q"), -ERR_BUSY);
	redis_link_reset(link_, "is of no use");
	assert_int_equal(nanswers, 0 + REDIS_MAX_PENDING);
	assert_non_null(strstr(redis_link_why(link_), "is of no use"));
	assert_int_equal(downs, 1);
}

/* --- subscriptions */

static const char *const channels[] = { "one", "two", NULL };
#define SUBSCRIBED LOGIN "*3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$3\r\ntwo\r\n:2\r\n"

static void test_messages(void **state)
{
	script[0] = SUBSCRIBED "*3\r\n$7\r\nmessage\r\n$3\r\ntwo\r\n$5\r\nhello\r\n";
	open_link(channels);
	wait_for(has_message);
	assert_string_equal(messages, "two=hello;");
	assert_non_null(strstr(got, "SUBSCRIBE\r\n$3\r\none"));
	assert_int_equal(ask("Q"), -ERR_UNAVAILABLE); /* a link with subscriptions refuses commands */
	messages[0] = 0;
	hang_up();
	wait_for(has_message); /* subscribed again */
	assert_int_equal(ups, 2);
	assert_int_equal(downs, 1);
}

static void test_half_subscribed(void **state)
{
	script[0] = LOGIN "*3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n";
	open_link(channels);
	wait_for(is_refused);
	assert_int_equal(ups, 0);
}

static void test_subscription_refused(void **state)
{
	script[0] = LOGIN "-NOPERM this user has no access to that channel\r\n";
	open_link(channels);
	wait_for(is_refused);
	assert_non_null(strstr(redis_link_why(link_), "NOPERM"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_login), T(test_wrong_password), T(test_no_password), T(test_bad_database), T(test_unnamed), T(test_full_server),
		T(test_program_that_is_not_redis), T(test_closes), T(test_mute_at_login), T(test_connection_refused), T(test_no_name), T(test_answers), T(test_mute),
		T(test_killed), T(test_truncated_answer), T(test_nonsense), T(test_endless_list), T(test_endless_number), T(test_unrequested_answers),
		T(test_bound), T(test_messages), T(test_half_subscribed), T(test_subscription_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
