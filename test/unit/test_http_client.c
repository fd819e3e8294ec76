/* http_client: against the program's own server, and against servers that misbehave. The client's loop is this thread's. */
#include "test/lib/http_rig.h"

#include <event2/buffer.h>

#include "lucid/errs.h"
#include "net/client/http_answer.h"
#include "net/client/http_client.h"
#include "net/listen.h"
#include "test/lib/loop_rig.h"

static struct rig *g;
static struct loop *l;
static struct http_client *client;
static unsigned got, want;
static struct seen {
	enum http_outcome outcome;
	int status;
	size_t len;
	char body[300], why[100], rig[8];
} last;

static void on_result(const struct http_result *r, void *arg)
{
	const char *h = http_result_header(r, "x-rig");
	const char *body = http_result_body(r, &last.len);
	last.outcome = http_result_outcome(r);
	last.status = http_result_status(r);
	snprintf(last.body, sizeof last.body, "%.*s", (int)MIN(last.len, sizeof last.body - 1), body ? body : "");
	snprintf(last.why, sizeof last.why, "%s", http_result_why(r));
	snprintf(last.rig, sizeof last.rig, "%s", h ? h : "");
	if (arg)
		++*(unsigned *)arg;
	if (++got == want)
		loop_stop(l);
}

static void on_too_long(UNUSED void *arg)
{
	fail_msg("no result arrived");
}

static void run_until(unsigned n)
{
	struct loop_timer *guard = loop_timer_new(l, on_too_long, NULL);
	loop_timer_set(guard, 20000);
	want = n;
	if (got < want)
		loop_run(l);
	loop_timer_free(guard);
}

static int setup(UNUSED void **state)
{
	g = rig_new(NULL);
	l = loop_new();
	client = http_client_new(l, 8);
	got = want = 0;
	return 0;
}

static int teardown(UNUSED void **state)
{
	http_client_free(client);
	loop_rig_run_ms(l, 5); /* runs callbacks that libevent has deferred */
	loop_free(l);
	rig_free(g);
	return 0;
}

static const char *url(const char *host, uint16_t port, const char *rest)
{
	static char text[200];
	snprintf(text, sizeof text, "http://%s:%u%s", host, port, rest);
	return text;
}

static void ask(const struct http_ask *a)
{
	const char *why = NULL;
	int r = http_client_ask(client, a, on_result, NULL, &why, NULL);
	if (r)
		fail_msg("refused: %s", why);
	run_until(got + 1);
}

static void expect_failure(enum http_outcome outcome)
{
	assert_int_equal(last.outcome, outcome);
	assert_int_equal(last.status, 0);
	assert_int_equal(last.len, 0);
	assert_true(strlen(last.why) > 5);
}

static void answers(void **state)
{
	const struct http_header h[] = { { "Authorization", "Bearer x" }, { "X-More", "1" } };
	ask(&(struct http_ask){ .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/p?q=1") });
	assert_int_equal(last.outcome, HTTP_ANSWERED);
	assert_int_equal(last.status, 200);
	assert_string_equal(last.body, "GET|/p|q=1|-|0|0|127.0.0.1|7");
	assert_string_equal(last.rig, "1");
	assert_string_equal(last.why, "");
	for (enum http_method m = HTTP_POST; m <= HTTP_DELETE; m++) {
		char start[60];
		ask(&(struct http_ask){ .method = m, .url = url("127.0.0.1", g->port, "/x"), .headers = h, .n_headers = 2,
					.body = "abc", .body_len = 3 });
		snprintf(start, sizeof start, "%s|/x|-|Bearer x|3|", http_method_name(m));
		assert_int_equal(strncmp(last.body, start, strlen(start)), 0);
	}
	ask(&(struct http_ask){ .method = HTTP_HEAD, .url = url("127.0.0.1", g->port, "") });
	assert_true(last.outcome == HTTP_ANSWERED && last.status == 200 && last.len == 0);
	ask(&(struct http_ask){ .method = HTTP_GET, .url = url("127.0.0.1", g->port, "?a=b") });
	assert_int_equal(strncmp(last.body, "GET|/|a=b|", 10), 0);
	ask(&(struct http_ask){ .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/status/503") });
	assert_true(last.outcome == HTTP_ANSWERED && last.status == 503);
	assert_int_equal(rig_look(g)->accepted, 1); /* all on one connection */
}

static void names_are_resolved(void **state)
{
	ask(&(struct http_ask){ .method = HTTP_GET, .url = url("localhost", g->port, "/n") });
	assert_int_equal(last.outcome, HTTP_ANSWERED);
	assert_int_equal(strncmp(last.body, "GET|/n|", 7), 0);
}

static void urls_and_headers_are_checked(void **state)
{
	static const char *const bad[] = {
		"https://",	 "unix:x", "unix:", "unix:/", "unix:/x:y", "https://u@a/",	   "http://",	     "http:///x",	   "http://u:p@a/",
		"http://a:0/",	 "http://a:65536/", "http://a:/",     "http://a:1x/",	   "http://[::1/",
		"http://[::1]x/", "http://a/b c",  "http://a/\r\nX: y", "http://a/#f", "ftp://a/", "HTTP://a/",
	};
	static const struct http_header evil = { "X", "a\r\nb: c" };
	const char *why;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		why = NULL;
		assert_int_equal(http_client_ask(client, &(struct http_ask){ .url = bad[i] }, on_result, NULL, &why, NULL),
				 -ERR_INVALID);
		assert_non_null(why);
	}
	struct http_ask a = { .url = url("127.0.0.1", g->port, "/"), .headers = &evil, .n_headers = 1 };
	assert_int_equal(http_client_ask(client, &a, on_result, NULL, &why, NULL), -ERR_INVALID);
	a.n_headers = 0;
	a.method = HTTP_OTHER;
	assert_int_equal(http_client_ask(client, &a, on_result, NULL, NULL, NULL), -ERR_INVALID);
	assert_int_equal(http_client_in_flight(client), 0);
}

static void never_sent(void **state)
{
	uint16_t port;
	int fd = rig_listener(&port), fill[4];
	/* bound but not listening: refused */
	ask(&(struct http_ask){ .method = HTTP_POST, .url = url("127.0.0.1", port, "/"), .body = "x", .body_len = 1 });
	expect_failure(HTTP_NEVER_SENT);
	/* listening with a full backlog: the connection is never established */
	assert_int_equal(listen(fd, 0), 0);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (int i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&sa, sizeof sa);
	}
	ask(&(struct http_ask){ .method = HTTP_POST, .url = url("127.0.0.1", port, "/"), .timeout_ms = 200 });
	expect_failure(HTTP_NEVER_SENT);
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

/* A server of one connection: reads a little, sends `text`, and closes unless told not to. */
struct crook {
	int fd;
	uint16_t port;
	const char *text;
	bool stay;
	pthread_t thread;
};

static void *crook_run(void *arg)
{
	struct crook *k = arg;
	char in[4096];
	int fd = accept4(k->fd, NULL, NULL, SOCK_CLOEXEC);
	if (recv(fd, in, sizeof in, 0) > 0) {
		rig_puts(fd, k->text);
		if (k->stay)
			while (recv(fd, in, sizeof in, 0) > 0)
				;
	}
	close(fd);
	return NULL;
}

static void ask_crook(const char *text, bool stay, size_t max_body)
{
	struct crook k = { .text = text, .stay = stay };
	k.fd = rig_listener(&k.port);
	listen(k.fd, 5);
	pthread_create(&k.thread, NULL, crook_run, &k);
	ask(&(struct http_ask){ .method = HTTP_POST, .url = url("127.0.0.1", k.port, "/"), .timeout_ms = 400, .body = "hello",
				.body_len = 5, .max_body = max_body });
	loop_rig_run_ms(l, 5); /* closes the connection, so that the server sees its end */
	if (last.outcome == HTTP_ANSWERED) { /* kept for the next call */
		http_client_free(client);
		client = http_client_new(l, 8);
	}
	pthread_join(k.thread, NULL);
	close(k.fd);
}

static void uncertain(void **state)
{
	static const struct {
		const char *text;
		bool stay;
		size_t max_body;
	} rows[] = {
		{ "", false, 0 },						     /* closes without a response */
		{ "", true, 0 },						     /* does not answer */
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false, 0 },   /* closes in the middle */
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true, 0 },    /* stops in the middle */
		{ "this is not HTTP\r\n\r\n", true, 0 },			     /* not HTTP */
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", true, 5 }, /* more than is allowed */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ask_crook(rows[i].text, rows[i].stay, rows[i].max_body);
		expect_failure(HTTP_UNCERTAIN);
	}
	ask_crook("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", true, 0);
	assert_int_equal(last.outcome, HTTP_ANSWERED);
	assert_string_equal(last.body, "abcde");
	ask_crook("HTTP/1.0 200 OK\r\n\r\nto the end", false, 0);
	assert_int_equal(last.outcome, HTTP_ANSWERED);
	assert_string_equal(last.body, "to the end");
}

/* However the response is divided. */
static void answers_in_pieces(void **state)
{
	static const struct {
		const char *text;
		int status; /* 0: invalid */
		const char *body;
		bool keep;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", true },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201\r\nContent-Length: 1\r\nConnection: close\r\n\r\na", 201, "a", false },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", false },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\na", 200, "a", true },
		{ "HTTP/1.1 204 No\r\n\r\n", 204, "", true },
		{ "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", 304, "", true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n", 200, "a0123456789", true },
		{ "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", 0 },
		{ "HTTP/1.1 101 Switch\r\n\r\n", 0 },
		{ "HTTP/1.1 20 OK\r\n\r\n", 0 },
		{ "HTTP/2 200 OK\r\n\r\n", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].text);
		for (size_t piece = 1; piece <= len; piece = piece == 1 ? 7 : piece == 7 ? len : len + 1) {
			struct http_answer a;
			struct evbuffer *in = evbuffer_new();
			char body[100] = "";
			http_answer_init(&a, false, 1000);
			for (size_t at = 0; at < len; at += piece) {
				evbuffer_add(in, rows[i].text + at, MIN(piece, len - at));
				http_answer_feed(&a, in);
			}
			http_answer_end(&a);
			assert_int_equal(a.part, rows[i].status ? ANSWER_DONE : ANSWER_BAD);
			if (rows[i].status) {
				evbuffer_copyout(a.body, body, sizeof body - 1);
				assert_int_equal(a.status, rows[i].status);
				assert_string_equal(body, rows[i].body);
				assert_int_equal(a.keep, rows[i].keep);
			} else {
				assert_non_null(a.why);
			}
			http_answer_done(&a);
			evbuffer_free(in);
		}
	}
}

static char un_path[64];
static int un_fd;

static void listen_local(struct rig *r)
{
	assert_int_equal(http_server_listen(r->http, un_fd, 5, false), 0);
}

static void over_a_unix_socket(void **state)
{
	char why[200], text[128];
	snprintf(un_path, sizeof un_path, "/tmp/lrdp-client-%d.sock", (int)getpid());
	snprintf(text, sizeof text, "unix:%s:/local?q=1", un_path);
	ask(&(struct http_ask){ .method = HTTP_GET, .url = text });
	expect_failure(HTTP_NEVER_SENT);
	assert_int_equal(listen_unix(un_path, getgid(), &un_fd, why, sizeof why), 0);
	assert_int_equal(listen_unix(un_path, getgid(), &(int){ -1 }, why, sizeof why), -EADDRINUSE);
	assert_non_null(strstr(why, "another program listens on it"));
	rig_do(g, listen_local);
	for (int i = 0; i < 3; i++) {
		ask(&(struct http_ask){ .method = HTTP_POST, .url = text, .body = "abc", .body_len = 3 });
		assert_int_equal(last.outcome, HTTP_ANSWERED);
		assert_int_equal(strncmp(last.body, "POST|/local|q=1|-|3|", 20), 0);
		assert_non_null(strstr(last.body, "|unix|5"));
	}
	assert_int_equal(rig_look(g)->accepted, 2); /* one for all calls, and one of the check whether the socket is in use */
	listen_unix_remove(un_path, un_fd);
	assert_int_equal(access(un_path, F_OK), -1);
	close(un_fd);
}

static void calls_in_flight_are_bounded(void **state)
{
	struct http_ask a = { .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/later") };
	unsigned mine = 0;
	for (int i = 0; i < 8; i++)
		assert_int_equal(http_client_ask(client, &a, on_result, &mine, NULL, NULL), 0);
	assert_int_equal(http_client_ask(client, &a, on_result, &mine, NULL, NULL), -ERR_BUSY);
	assert_int_equal(http_client_in_flight(client), 8);
	assert_int_equal(mine, 0);
	run_until(8);
	assert_int_equal(mine, 8);
	assert_int_equal(http_client_in_flight(client), 0);
	assert_int_equal(rig_look(g)->accepted, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(http_client_ask(client, &a, on_result, &mine, NULL, NULL), 0);
	run_until(16);
	assert_int_equal(rig_look(g)->accepted, 8); /* reused */
}

static void cancelled_calls_are_silent(void **state)
{
	struct http_ask a = { .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/later") };
	struct http_call *call;
	unsigned cancelled = 0, other = 0;
	assert_int_equal(http_client_ask(client, &a, on_result, &cancelled, NULL, &call), 0);
	assert_int_equal(http_client_ask(client, &a, on_result, &other, NULL, NULL), 0);
	http_client_cancel(call);
	run_until(1);
	assert_true(cancelled == 0 && other == 1);
}

static void ask_again(const struct http_result *r, void *arg)
{
	struct http_ask a = { .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/again") };
	assert_int_equal(http_result_outcome(r), HTTP_ANSWERED);
	assert_int_equal(http_client_ask(client, &a, on_result, arg, NULL, NULL), 0);
}

static void calls_from_a_callback(void **state)
{
	struct http_ask a = { .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/") };
	assert_int_equal(http_client_ask(client, &a, ask_again, NULL, NULL, NULL), 0);
	run_until(1);
	assert_int_equal(strncmp(last.body, "GET|/again|", 11), 0);
}

static void server_closes_between_calls(void **state)
{
	struct http_ask a = { .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/") };
	ask(&a);
	assert_int_equal(last.outcome, HTTP_ANSWERED);
	rig_free(g);
	loop_rig_run_ms(l, 20); /* it notices the end of the idle connection */
	ask(&a);
	expect_failure(HTTP_NEVER_SENT);
	g = rig_new(NULL);
}

static void free_ends_calls(void **state)
{
	struct http_ask a = { .method = HTTP_GET, .url = url("127.0.0.1", g->port, "/hold") };
	unsigned mine = 0;
	assert_int_equal(http_client_ask(client, &a, on_result, &mine, NULL, NULL), 0);
	for (int i = 0; i < 1000 && rig_look(g)->held == 0; i++)
		loop_rig_run_ms(l, 5);
	assert_int_equal(http_client_ask(client, &a, on_result, &mine, NULL, NULL), 0);
	http_client_free(client);
	client = NULL;
	assert_int_equal(mine, 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(answers),
		CASE(names_are_resolved),
		CASE(urls_and_headers_are_checked),
		CASE(never_sent),
		CASE(uncertain),
		CASE(answers_in_pieces),
		CASE(over_a_unix_socket),
		CASE(calls_in_flight_are_bounded),
		CASE(cancelled_calls_are_silent),
		CASE(calls_from_a_callback),
		CASE(server_closes_between_calls),
		CASE(free_ends_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
