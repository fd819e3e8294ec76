/* rest, breaker, backoff, acting, service_token: calls to another process that misbehaves in every way. Sockets on the same loop imitate
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/acting.h"
#include "bus/breaker.h"
#include "bus/rest.h"
#include "lucid/clock.h"
#include "lucid/metrics.h"
#include "roles/contract/contract.h"
#include "sys/log.h"

#define ID "123e4567-e89b-42d3-a456-426614174000"
#define SECRET "a secret of more than thirty-two bytes"
#define PEERS 40

/* --- the other process */

static struct peer {
	int fd;
	uint16_t port;
	struct loop_io *io;
	const char *text; /* its answer; NULL: none */
	bool closes;
	unsigned stalls_ms; /* everything stands still for this time after an answer */
	unsigned conns, asked;
	unsigned mends_at; /* its answers are valid after so many requests; 0: never */
	struct loop_task mend;
	struct line {
		struct loop_io *io;
		int fd;
	} lines[PEERS];
	char heard[4096];
} peer;

static struct loop *loop;
static struct bus *bus;
static struct token_keys *keys;
static struct service_token *token;
static struct http_client *client;
static struct rest *rest;

static void line_close(struct line *k)
{
	if (k->io) {
		loop_io_free(TAKE_PTR(k->io));
		close(k->fd);
	}
}

static void on_line(UNUSED int events, void *arg)
{
	struct line *k = arg;
	ssize_t n = recv(k->fd, peer.heard, sizeof peer.heard - 1, MSG_DONTWAIT);
	if (n <= 0) {
		line_close(k);
		return;
	}
	peer.heard[n] = 0;
	peer.asked++;
	if (peer.asked == peer.mends_at)
		loop_defer(loop, &peer.mend);
	if (peer.text)
		assert_int_equal(send(k->fd, peer.text, strlen(peer.text), MSG_NOSIGNAL), (ssize_t)strlen(peer.text));
	if (peer.stalls_ms)
		usleep(peer.stalls_ms * 1000);
	if (peer.closes)
		line_close(k);
}

static void on_accept(UNUSED int events, UNUSED void *arg)
{
	int fd = accept4(peer.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct line *k = peer.lines;
	while (k->io)
		k++;
	assert_true(k < peer.lines + PEERS);
	peer.conns++;
	k->fd = fd;
	k->io = loop_io_new(loop, fd, LOOP_READ, on_line, k);
}

static void peer_open(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(peer.port) };
	socklen_t n = sizeof a;
	int on = 1;
	peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(peer.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(peer.fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(peer.fd, 100), 0);
	assert_int_equal(getsockname(peer.fd, (struct sockaddr *)&a, &n), 0);
	peer.port = ntohs(a.sin_port);
	peer.io = loop_io_new(loop, peer.fd, LOOP_READ, on_accept, NULL);
}

static void peer_close(void)
{
	for (size_t i = 0; i < PEERS; i++)
		line_close(&peer.lines[i]);
	loop_io_free(TAKE_PTR(peer.io));
	close(peer.fd);
}

/* --- calls */

struct answer {
	int count;
	enum err err;
	unsigned retry_after_s;
	char message[300], name[64];
};

static void keep(const struct reply *r, void *arg)
{
	struct answer *a = arg;
	a->count++;
	a->err = r->err;
	a->retry_after_s = r->retry_after_s;
	snprintf(a->message, sizeof a->message, "%s", r->message ? r->message : "");
	snprintf(a->name, sizeof a->name, "%s", doc_str(r->doc, "name", ""));
}

struct spin {
	struct loop_timer *timer;
	const int *until;
	int64_t end_ms;
};

static void look(void *arg)
{
	struct spin *s = arg;
	if ((s->until && *s->until) || clock_mono_ms() >= s->end_ms)
		loop_stop(loop);
	else
		loop_timer_set(s->timer, 1);
}

static void spin(int ms, const int *until)
{
	struct spin s = { NULL, until, clock_mono_ms() + (until ? MAX(ms, 120000) : ms) };
	s.timer = loop_timer_new(loop, look, &s);
	loop_timer_set(s.timer, 0);
	loop_run(loop);
	loop_timer_free(s.timer);
}

static struct answer ask_for(const char *op, const struct caller *caller, unsigned deadline_ms)
{
	struct answer a = { 0 };
	bus_call(bus, &(struct call_args){ .op = op_find(op), .params = { ID }, .caller = caller, .deadline_ms = deadline_ms }, keep, &a);
	spin(10000, &a.count);
	assert_int_equal(a.count, 1);
	return a;
}

static struct answer ask(const char *op)
{
	return ask_for(op, NULL, 5000);
}

#define GET "rdp.servers.get"	     /* reads */
#define DELETE "rdp.servers.delete"  /* idempotent */
#define RESTART "rdp.servers.restart" /* not idempotent */

static size_t open_fds(void)
{
	size_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int set_up(UNUSED void **state)
{
	char url[64];
	peer = (struct peer){ 0 };
	loop = loop_new();
	bus = bus_new(loop);
	keys = token_keys_new(&(struct token_options){ .secret = SECRET, .lifetime_s = 60 });
	token = service_token_new(keys);
	client = http_client_new(loop, 100);
	http_client_limit_origin(client, 4, 8);
	peer_open();
	snprintf(url, sizeof url, "http://127.0.0.1:%d", peer.port);
	rest = rest_new(loop, client, token, url);
	bus_route(bus, ROLE_SERVERS, rest_transport(rest));
	return 0;
}

static int tear_down(UNUSED void **state)
{
	rest_free(rest);
	http_client_free(client);
	spin(20, NULL);
	peer_close();
	service_token_free(token);
	token_keys_free(keys);
	bus_free(bus);
	loop_free(loop);
	metrics_reset();
	return 0;
}

/* --- a peer that misbehaves */

static void test_mute(UNUSED void **state)
{
	struct answer a = ask_for(GET, NULL, 200);
	assert_int_equal(a.err, ERR_DEADLINE);
	a = ask_for(RESTART, NULL, 200);
	assert_int_equal(a.err, ERR_DEADLINE);
	spin(20, NULL);
	assert_int_equal(http_client_in_flight(client), 0);
	assert_int_equal(bus_calls_open(bus), 0);
	for (size_t i = 0; i < PEERS; i++) /* lets it notice that the connections are closed */
		assert_null(peer.lines[i].io);
}

static void test_garbage(UNUSED void **state)
{
	static const char *const texts[] = { "this is no HTTP\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", "",
					     "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" };
	peer.closes = true;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		peer.text = texts[i];
		peer.asked = 0;
		struct answer a = ask(RESTART); /* tried once, and the outcome is unknown */
		assert_int_equal(a.err, ERR_UNCERTAIN);
		assert_non_null(strstr(a.message, "rdp-server-manager"));
		assert_int_equal(peer.asked, 1);
		rest_heard(rest);
		peer.asked = 0;
		a = ask(DELETE);
		assert_int_equal(a.err, ERR_UNCERTAIN);
		assert_int_equal(peer.asked, 3);
		rest_heard(rest);
		a = ask(GET); /* a read has no uncertain outcome */
		assert_int_equal(a.err, ERR_UNAVAILABLE);
		rest_heard(rest);
	}
	peer.text = "HTTP/1.1 200 OK\r\nX-Request-ID: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{\"a\"";
	struct answer a = ask(RESTART);
	assert_int_equal(a.err, ERR_UNCERTAIN);
	/* a web server that answers every path with a page has not restarted anything */
	peer.text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
	a = ask(RESTART);
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, "not lucid-rdp"));
	peer.text = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<html";
	a = ask(GET);
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, "not lucid-rdp"));
}

static void mend(const char **text)
{
	*text = "HTTP/1.1 200 OK\r\nX-Request-ID: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";
	peer.closes = false;
}

static void on_mend(UNUSED struct loop_task *t)
{
	mend(&peer.text);
}

/* The first attempt is cut off, and the retry of an idempotent call succeeds. */
static void test_tried_again(UNUSED void **state)
{
	peer.text = "";
	peer.closes = true;
	peer.mends_at = 1;
	loop_task_init(&peer.mend, on_mend);
	struct answer a = ask(GET);
	assert_int_equal(a.err, ERR_OK);
	assert_string_equal(a.name, "a");
	assert_int_equal(peer.asked, 2);
}

/* A response with this status and code, and with these further headers. */
static const char *refusal(int status, const char *code, const char *headers)
{
	static char text[300];
	char body[100];
	snprintf(body, sizeof body, "{\"error\":{\"code\":\"%s\",\"message\":\"no\"}}", code);
	snprintf(text, sizeof text, "HTTP/1.1 %d No\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, strlen(body), body);
	return text;
}

static void on_refusing(UNUSED struct loop_task *t)
{
	peer.text = refusal(503, "LUCID_ERR_0010", "Retry-After: 2\r\n");
	peer.closes = false;
}

/* The first attempt is cut off and may have been performed; what becomes of the retry does not make that certain. */
static void test_refused_retry_leaves_the_outcome_uncertain(UNUSED void **state)
{
	peer.text = "";
	peer.closes = true;
	peer.mends_at = 1;
	loop_task_init(&peer.mend, on_refusing);
	assert_int_equal(ask(DELETE).err, ERR_UNCERTAIN);
	assert_int_equal(peer.asked, 2);
	assert_int_equal(ask(DELETE).err, ERR_UNAVAILABLE); /* without an attempt before it */
	peer.text = refusal(503, "LUCID_ERR_0010", "X-Lucid-Outcome: uncertain\r\n");
	assert_int_equal(ask(DELETE).err, ERR_UNCERTAIN); /* of the peer itself, which has the same code */
}

/* Others that fail meanwhile open the breaker, so that the retry is not sent. */
static void test_breaker_leaves_the_outcome_uncertain(UNUSED void **state)
{
	struct answer all[BREAKER_FAILURES + 1] = { 0 };
	peer.text = "";
	peer.closes = true;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		bus_call(bus, &(struct call_args){ .op = op_find(DELETE), .params = { ID } }, keep, &all[i]);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		spin(5000, &all[i].count);
		assert_int_equal(all[i].err, ERR_UNCERTAIN);
	}
	assert_int_equal(ask(DELETE).err, ERR_UNAVAILABLE); /* refused before it was sent */
}

static void test_no_try_past_the_deadline(UNUSED void **state)
{
	peer.text = "";
	peer.closes = true;
	struct answer a = ask_for(GET, NULL, 20);
	assert_true(a.err == ERR_UNAVAILABLE || a.err == ERR_DEADLINE);
	spin(300, NULL);
	assert_int_equal(peer.asked, 1);
}

/* After a stall, deadline and response are due in the same turn of the loop. */
static void test_response_at_the_deadline(UNUSED void **state)
{
	mend(&peer.text);
	peer.stalls_ms = 200;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_for(GET, NULL, 50).err, ERR_DEADLINE);
	peer.stalls_ms = 0;
	spin(20, NULL);
	assert_int_equal(http_client_in_flight(client), 0);
	assert_int_equal(ask(GET).err, ERR_OK);
}

static void test_breaks_and_heals(UNUSED void **state)
{
	struct answer a;
	peer_close();
	for (unsigned i = 0; i < BREAKER_FAILURES; i++) {
		a = ask(RESTART);
		assert_int_equal(a.err, ERR_UNAVAILABLE);
		assert_non_null(strstr(a.message, "is unreachable: connection refused"));
	}
	size_t fds = open_fds();
	for (int i = 0; i < 100; i++) {
		a = ask(GET);
		assert_int_equal(a.err, ERR_UNAVAILABLE);
		assert_non_null(strstr(a.message, "rdp-server-manager is unreachable (connection refused"));
		assert_in_range(a.retry_after_s, 1, 10);
	}
	assert_int_equal(open_fds(), fds);
	mend(&peer.text);
	peer_open();
	int64_t end_ms = clock_mono_ms() + 2 * BREAKER_MOST_MS;
	do {
		spin(50, NULL);
		a = ask(GET);
	} while (a.err && clock_mono_ms() < end_ms);
	assert_int_equal(a.err, ERR_OK);
	a = ask(GET); /* and at once from then on */
	assert_int_equal(a.err, ERR_OK);
	struct strbuf page = { 0 };
	metrics_page(&page, false);
	assert_non_null(strstr(page.s, "rdp_peer_calls_total{peer=\"http://127.0.0.1:"));
	assert_non_null(strstr(page.s, "outcome=\"unavailable\"} 5"));
	assert_non_null(strstr(page.s, "rdp_peer_breaker{peer=\"http://127.0.0.1:"));
	strbuf_done(&page);
}

/* A slow peer is not unreachable while other calls are answered. */
static void test_slow_is_not_away(UNUSED void **state)
{
	for (int i = 0; i < 2 * BREAKER_FAILURES; i++) {
		struct answer a = { 0 };
		peer.text = NULL;
		bus_call(bus, &(struct call_args){ .op = op_find(GET), .params = { ID }, .deadline_ms = 60 }, keep, &a);
		spin(10, NULL);
		rest_heard(rest);
		spin(5000, &a.count);
		assert_int_equal(a.err, ERR_DEADLINE);
	}
	mend(&peer.text);
	assert_int_equal(ask(GET).err, ERR_OK);
}

static void test_full(UNUSED void **state)
{
	static struct answer a[14];
	memset(a, 0, sizeof a);
	for (size_t i = 0; i < 14; i++)
		bus_call(bus, &(struct call_args){ .op = op_find(RESTART), .params = { ID }, .deadline_ms = 300 }, keep, &a[i]);
	spin(30, NULL);
	assert_int_equal(peer.conns, 4);
	for (size_t i = 0; i < 14; i++) {
		assert_int_equal(a[i].count, i >= 12); /* 4 on connections, 8 in the queue, and the rest refused at once */
		assert_int_equal(a[i].err, i >= 12 ? ERR_BUSY : 0);
	}
	assert_non_null(strstr(a[13].message, "rdp-server-manager"));
	spin(5000, &a[11].count);
	spin(100, NULL);
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(a[i].err, ERR_DEADLINE);
	assert_int_equal(http_client_in_flight(client), 0);
}

static void test_waiting_ones_get_their_turn(UNUSED void **state)
{
	static struct answer a[12];
	memset(a, 0, sizeof a);
	mend(&peer.text);
	for (size_t i = 0; i < 12; i++)
		bus_call(bus, &(struct call_args){ .op = op_find(RESTART), .params = { ID } }, keep, &a[i]);
	for (size_t i = 0; i < 12; i++) {
		spin(5000, &a[i].count);
		assert_int_equal(a[i].err, ERR_OK);
	}
	assert_int_equal(peer.conns, 4);
}

/* The bound on incomplete responses of all calls together. */
static void test_answers_are_bounded(UNUSED void **state)
{
	static char text[60200];
	static struct answer a[2];
	memset(a, 0, sizeof a);
	http_client_limit_answers(client, 100000);
	int n = sprintf(text, "HTTP/1.1 200 OK\r\nX-Request-ID: x\r\nContent-Type: text/plain\r\nContent-Length: 70000\r\n\r\n");
	memset(text + n, 'x', 60000);
	peer.text = text;
	uint64_t first = bus_call(bus, &(struct call_args){ .op = op_find(RESTART), .params = { ID }, .deadline_ms = 20000 }, keep, &a[0]);
	uint64_t second = bus_call(bus, &(struct call_args){ .op = op_find(RESTART), .params = { ID }, .deadline_ms = 20000 }, keep, &a[1]);
	for (int i = 0; i < 1000 && !a[0].count && !a[1].count; i++)
		spin(10, NULL);
	assert_int_equal(a[0].count + a[1].count, 1); /* the later one; the other may continue */
	const struct answer *ended = a[0].count ? &a[0] : &a[1];
	assert_int_equal(ended->err, ERR_UNCERTAIN);
	assert_non_null(strstr(ended->message, "exceed the memory limit"));
	bus_cancel(bus, a[0].count ? second : first);
	/* and their bytes are no longer counted */
	char head[100];
	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nX-Request-ID: x\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", strlen(text) - (size_t)n);
	memmove(text, head, strlen(head));
	assert_int_equal(strlen(head), n);
	for (int i = 0; i < 5; i++) {
		struct answer good = ask(RESTART);
		if (good.err)
			fail_msg("%s", good.message);
	}
}

static void test_taken_away(UNUSED void **state)
{
	struct answer a = { 0 };
	bus_call(bus, &(struct call_args){ .op = op_find(GET), .params = { ID } }, keep, &a);
	spin(20, NULL);
	bus_route(bus, ROLE_SERVERS, NULL);
	rest_free(TAKE_PTR(rest));
	spin(1000, &a.count);
	assert_int_equal(a.err, ERR_UNCERTAIN);
	assert_int_equal(ask(GET).err, ERR_UNAVAILABLE);
}

/* --- tokens */

static void answer_401(char *room, size_t size, int64_t ahead_ms, const char *message)
{
	char iso[CLOCK_ISO_SIZE], body[300];
	snprintf(body, sizeof body, "{\"error\":{\"code\":\"LUCID_ERR_0002\",\"message\":\"%s\",\"timestamp\":\"%s\"}}", message,
		 clock_iso(iso, clock_wall_ms() + ahead_ms));
	snprintf(room, size, "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	peer.text = room;
}

static void test_token_refused(UNUSED void **state)
{
	char room[600];
	answer_401(room, sizeof room, 0, "the token is not signed by this service");
	struct answer a = ask(GET);
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, "JWT_SECRET"));
	answer_401(room, sizeof room, 300 * 1000, "the token has expired");
	a = ask(GET);
	assert_non_null(strstr(a.message, "its clock is "));
	assert_non_null(strstr(a.message, " s ahead"));
	answer_401(room, sizeof room, -300 * 1000, "the token is not valid yet");
	assert_non_null(strstr(ask(GET).message, " s behind"));
}

static void header(const char *name, char *ret, size_t size)
{
	const char *at = strcasestr(peer.heard, name);
	snprintf(ret, size, "%.*s", at ? (int)strcspn(at, "\r") : 0, at ? at : "");
}

static void test_who_asks(UNUSED void **state)
{
	struct caller ann = { .sub = "ann; é", .roles = CALLER_USER | CALLER_ADMIN, .address = "2001:db8::7" }, seen = { 0 };
	char first[800], second[800], acting[400];
	mend(&peer.text);
	assert_int_equal(ask_for(GET, &ann, 1000).err, ERR_OK);
	header("Authorization: Bearer ", first, sizeof first);
	header(ACTING_HEADER ": ", acting, sizeof acting);
	assert_true(acting_read(acting + strlen(ACTING_HEADER ": "), &seen));
	assert_string_equal(seen.sub, ann.sub);
	assert_string_equal(seen.address, ann.address);
	assert_int_equal(seen.roles, ann.roles);
	assert_false(seen.can_create_sessions);
	assert_int_equal(token_verify(keys, first + 22, strlen(first + 22), &seen), TOKEN_OK);
	assert_string_equal(seen.sub, SERVICE_TOKEN_SUB);
	assert_int_equal(seen.roles, CALLER_SERVICE);
	ask(GET); /* of the role itself */
	header("Authorization: Bearer ", second, sizeof second);
	header(ACTING_HEADER, acting, sizeof acting);
	assert_string_equal(first, second); /* signed once */
	assert_string_equal(acting, "");
	clock_shift_ms(SERVICE_TOKEN_LIFE_S * 1000 / 2 + 1000);
	ask(GET);
	clock_shift_ms(-SERVICE_TOKEN_LIFE_S * 1000 / 2 - 1000);
	header("Authorization: Bearer ", second, sizeof second);
	assert_string_not_equal(first, second); /* renewed before its end */
}

static void test_token_follows_its_keys(UNUSED void **state)
{
	struct caller c;
	_cleanup_(xfreep) char *first = xstrdup(service_token_get(token));
	assert_string_equal(service_token_get(token), first);
	token_keys_replace(keys, token_keys_new(&(struct token_options){ .secret = "another secret of more than 32 bytes!", .lifetime_s = 60 }));
	const char *second = service_token_get(token);
	assert_string_not_equal(first, second);
	assert_int_equal(token_verify(keys, second + 7, strlen(second + 7), &c), TOKEN_OK);
	assert_int_equal(token_verify(keys, first + 7, strlen(first + 7), &c), TOKEN_SIGNATURE);
}

/* --- helpers */

static void test_acting(UNUSED void **state)
{
	static const char *const bad[] = {
		"", "x", "sub=a", "sub=a;roles=user", "sub=a;roles=user;sessions=yes", "roles=user;sub=a;sessions=yes;from=",
		"sub=a;roles=root;sessions=yes;from=", "sub=a%;roles=user;sessions=yes;from=", "sub=a%0A;roles=user;sessions=yes;from=",
		"sub=a%00;roles=user;sessions=yes;from=", "sub=%FF;roles=user;sessions=yes;from=", "sub=%20a;roles=user;sessions=yes;from=",
		"sub=a;roles=user;sessions=yes;from=a%20b", "sub=a;roles=user;sessions=yes;from=;more=1",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct caller c = { .sub = "x", .address = "192.0.2.1" };
		if (acting_read(bad[i], &c))
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(c.sub, "x");
	}
	struct caller itself = { .roles = CALLER_SERVICE }, nobody = { 0 }, c = { .sub = "x", .address = "192.0.2.1", .roles = CALLER_SERVICE };
	assert_null(acting_text(&itself));
	_cleanup_(xfreep) char *text = acting_text(&nobody);
	assert_true(acting_read(text, &c));
	assert_string_equal(c.sub, "");
	assert_string_equal(c.address, "192.0.2.1"); /* the address is kept */
	assert_int_equal(c.roles, 0);
	struct caller longest = { .roles = CALLER_USER };
	memset(longest.sub, '%', CALLER_NAME_MAX);
	_cleanup_(xfreep) char *long_text = acting_text(&longest);
	assert_true(acting_read(long_text, &c));
	assert_string_equal(c.sub, longest.sub);
}

static void test_breaker(UNUSED void **state)
{
	struct breaker b;
	int64_t now = 1000000;
	breaker_init(&b);
	for (int i = 0; i < 100; i++) { /* rare failures */
		assert_false(breaker_bad(&b, now));
		assert_true(breaker_allows(&b, now));
		now += BREAKER_MEMORY_MS + 1;
	}
	for (int i = 1; i < BREAKER_FAILURES; i++)
		assert_false(breaker_bad(&b, now));
	assert_false(breaker_good(&b)); /* one success resets the count */
	for (int i = 1; i < BREAKER_FAILURES; i++)
		assert_false(breaker_bad(&b, now));
	assert_true(breaker_bad(&b, now));
	assert_false(breaker_bad(&b, now)); /* failures of other calls in flight */
	int64_t longest = 0;
	for (int i = 0; i < 20; i++) {
		int64_t wait = breaker_wait_ms(&b, now);
		assert_in_range(wait, 1, BREAKER_MOST_MS * 3 / 2);
		longest = MAX(longest, wait);
		assert_false(breaker_allows(&b, now));
		assert_false(breaker_allows(&b, now + wait - 1));
		now += wait;
		assert_true(breaker_allows(&b, now));
		assert_int_equal(b.state, BREAKER_HALF_OPEN);
		assert_false(breaker_allows(&b, now)); /* one at a time */
		assert_true(breaker_allows(&b, now + BREAKER_PROBE_MS)); /* but one that hangs does not block others */
		assert_false(breaker_bad(&b, now));
		assert_int_equal(b.state, BREAKER_OPEN);
	}
	assert_true(longest > BREAKER_FIRST_MS * 2);
	now += BREAKER_MOST_MS * 2;
	assert_true(breaker_allows(&b, now));
	assert_true(breaker_good(&b));
	assert_true(breaker_allows(&b, now) && breaker_allows(&b, now));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_mute),
		T(test_garbage),
		T(test_tried_again),
		T(test_refused_retry_leaves_the_outcome_uncertain),
		T(test_breaker_leaves_the_outcome_uncertain),
		T(test_no_try_past_the_deadline),
		T(test_response_at_the_deadline),
		T(test_breaks_and_heals),
		T(test_slow_is_not_away),
		T(test_full),
		T(test_waiting_ones_get_their_turn),
		T(test_answers_are_bounded),
		T(test_taken_away),
		T(test_token_refused),
		T(test_who_asks),
		T(test_token_follows_its_keys),
		cmocka_unit_test(test_acting),
		cmocka_unit_test(test_breaker),
	};
	log_set_level(LOG_ERROR_);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
