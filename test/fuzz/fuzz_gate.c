#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "lucid/errs.h"
#include "net/http.h"
#include "sys/log.h"

/*
 * A whole connection: any bytes, in any pieces, ended in any way, against the real server in this process. It must hold that the handler sees
 * exactly the requests in the bytes, one after the other, each only after all of it was sent; that there is one response for each, in the order
 * of the requests, and complete unless the client disconnected; and that nothing is leaked. The first two bytes of the input say how the rest
 * is divided and ended.
 */
enum { END_HALF, END_CLOSE, END_EARLY, ENDS };
#define REQUESTS 1024 /* an input of 8 KiB has fewer */
#define ANSWERS_MAX (8u << 20)
#define BIG 300000u /* more than the buffer of a socket */
#define IDLE_TURNS 5000 /* this many turns without any event are a hang */

static struct loop *loop;
static struct http_server *http;
static struct sockaddr_un address;
static socklen_t address_len;

static struct run {
	const char *data; /* terminated */
	size_t size, sent, at; /* at: offset up to which requests were seen */
	unsigned handled, late, big;
	struct {
		bool head;
		size_t len;
	} request[REQUESTS];
	char *got;
	size_t n_got;
} run;

/* --- the server's side */

static size_t declared(const char *head, const char *end)
{
	for (const char *p = head; p < end; p = (char *)memchr(p, '\n', (size_t)(end - p)) + 1)
		if (strncasecmp(p, "Content-Length:", 15) == 0)
			return strtoul(p + 15, NULL, 10);
	return 0;
}

/* The request is the text at run.at, byte for byte, and all of it was sent. */
static void check_whole(const struct http_req *r)
{
	const char *path = http_req_path(r), *query = http_req_query(r), *method = http_method_name(http_req_method(r));
	while (run.at + 2 <= run.size && memcmp(run.data + run.at, "\r\n", 2) == 0)
		run.at += 2;
	const char *head = run.data + run.at, *blank = memchr(head, ' ', run.size - run.at);
	assert(blank && (http_req_method(r) == HTTP_OTHER || (strlen(method) == (size_t)(blank - head) && memcmp(head, method, strlen(method)) == 0)));
	const char *target = blank + 1, *host = http_req_host(r);
	assert(*path == '/');
	if (*target == '/') {
		assert(strncmp(target, path, strlen(path)) == 0);
		target += strlen(path);
	} else if (*target == '*') {
		assert(http_req_method(r) == HTTP_OPTIONS && path[1] == 0);
		target++;
	} else { /* in absolute form: its host, and "/" if it has no path */
		target = memmem(target, 9, "://", 3);
		assert(target && host && *host && strncmp(target + 3, host, strlen(host)) == 0);
		target += 3 + strlen(host);
		assert(strncmp(target, path, strlen(path)) == 0 || (path[1] == 0 && *target != '/'));
		target += *target == '/' ? strlen(path) : 0;
	}
	assert(query ? *target == '?' && strncmp(target + 1, query, strlen(query)) == 0 : *target == ' ');
	target += query ? strlen(query) + 1 : 0;
	assert(strncmp(target, " HTTP/1.", 8) == 0);
	const char *end = memmem(target, run.size - (size_t)(target - run.data), "\r\n\r\n", 4);
	assert(end);
	size_t len, begin = (size_t)(end - run.data) + 4;
	const char *body = http_req_body(r, &len);
	assert(len == declared(head, end + 2) && begin + len <= run.sent);
	assert(len ? memcmp(body, run.data + begin, len) == 0 : body == NULL);
	run.at = begin + len;
}

static void answer(struct http_req *r)
{
	static char big[BIG];
	http_reply(r, 200, &(struct http_header){ "X-Test", "1" }, 1, big, run.request[run.handled - 1].len);
}

struct later {
	struct loop_task task;
	struct http_req *req;
};

static void on_later(struct loop_task *t)
{
	run.late--;
	answer(CONTAINER_OF(t, struct later, task)->req);
}

static void handle(struct http_req *r, void *arg)
{
	assert(run.late == 0 && run.handled < REQUESTS);
	check_whole(r);
	char kind = http_req_path(r)[1];
	run.request[run.handled].head = http_req_method(r) == HTTP_HEAD;
	run.request[run.handled].len = kind == 'b' && run.big++ < 2 ? BIG : run.handled;
	run.handled++;
	if (kind != 'l') {
		answer(r);
		return;
	}
	struct later *l = http_req_state(r);
	l->req = r;
	loop_task_init(&l->task, on_later);
	loop_defer(loop, &l->task);
	run.late++;
}

static struct blob *refusal(int status, const char *why, const char *peer, char id[HTTP_ID_SIZE], void *arg)
{
	assert(status >= 400 && status <= 505);
	strcpy(id, "x");
	return blob_new(why, strlen(why));
}

/* --- the client's side */

static void turn(void)
{
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

/* False at the end of what the server sends. */
static bool take(int fd, bool *ret_some)
{
	static char part[65536];
	ssize_t n = recv(fd, part, sizeof part, MSG_DONTWAIT);
	*ret_some = n > 0;
	if (n > 0 && run.n_got + (size_t)n <= ANSWERS_MAX) {
		memcpy(run.got + run.n_got, part, (size_t)n);
		run.n_got += (size_t)n;
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Sends pieces whose sizes depend on `seed`; true while the server reads. `stop`: the maximum offset. */
static bool send_pieces(int fd, unsigned seed, size_t stop)
{
	bool some;
	for (unsigned idle = 0; run.sent < stop;) {
		size_t n = seed == 0 ? stop - run.sent : MIN(stop - run.sent, (size_t)1 + seed * seed % 977);
		ssize_t done = send(fd, run.data + run.sent, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (done < 0 && errno != EAGAIN)
			return false;
		run.sent += done > 0 ? (size_t)done : 0;
		idle = done > 0 ? 0 : idle + 1;
		assert(idle < IDLE_TURNS);
		turn();
		if (!take(fd, &some))
			return false;
		seed = seed ? (seed * 37 + 11) & 255 : 0;
	}
	return true;
}

static void await_end(int fd)
{
	bool some;
	for (unsigned idle = 0; take(fd, &some); idle = some ? 0 : idle + 1) {
		assert(idle < IDLE_TURNS);
		turn();
	}
}

/* --- the verdict */

/* Parses the response at p; returns what follows it, NULL if it is truncated. */
static const char *check_answer(const char *p, bool head, int *ret_status, size_t *ret_len)
{
	const char *stop = run.got + run.n_got, *end = memmem(p, (size_t)(stop - p), "\r\n\r\n", 4);
	if (!end)
		return NULL;
	assert(sscanf(p, "HTTP/1.1 %3d ", ret_status) == 1 && *ret_status >= 100 && *ret_status <= 505);
	for (const char *c = p; c < end; c++)
		assert((*c >= 0x20 && *c < 0x7f) || (*c == '\r' && c[1] == '\n') || (*c == '\n' && c[-1] == '\r'));
	*ret_len = declared(p, end + 2);
	if (*ret_status == 100 || head || *ret_len == 0)
		return end + 4;
	return (size_t)(stop - end) - 4 < *ret_len ? NULL : end + 4 + *ret_len;
}

static void check_answers(bool all)
{
	const char *p = run.got, *stop = run.got + run.n_got;
	unsigned n = 0;
	while (p < stop) {
		int status = 0;
		size_t len = 0;
		/* the last one may be a refusal of a HEAD, which has no body */
		const char *next = check_answer(p, n < run.handled && run.request[n].head, &status, &len);
		if (!next && n == run.handled && (next = check_answer(p, true, &status, &len)) != stop)
			next = NULL;
		if (!next)
			break;
		p = next;
		if (status == 100)
			continue;
		assert(n < run.handled ? status == 200 && len == run.request[n].len : n == run.handled && status >= 400);
		n++;
	}
	assert(!all || (p == stop && n >= run.handled));
}


static void begin(void)
{
	static const struct http_limits limits = { 2000, 1500, 16, 60, 60, 60 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	log_set_level(LOG_ERROR_ + 1);
	loop = loop_new();
	http = http_server_new(loop, &limits, handle, refusal, NULL);
	address.sun_family = AF_UNIX;
	address_len = sizeof address;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &address_len) < 0 || http_server_listen(http, fd, 1, false) < 0)
		abort();
	run.got = malloc(ANSWERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!loop)
		begin();
	if (size < 2 || size > 8194)
		return 0;
	char *text = fuzz_text(data + 2, size - 2);
	run = (struct run){ .data = text, .size = size - 2, .got = run.got };
	int end = data[1] % ENDS, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, address_len) < 0)
		abort();
	bool there = send_pieces(fd, data[0], end == END_EARLY ? run.size * data[1] / 256 : run.size);
	if (there && end == END_HALF) {
		shutdown(fd, SHUT_WR);
		await_end(fd);
	}
	close(fd);
	for (unsigned turns = 0; turns < 4 || http_server_connections(http) || run.late; turns++) {
		assert(turns < IDLE_TURNS);
		turn();
	}
	check_answers(there && end == END_HALF);
	free(text);
	return 0;
}
