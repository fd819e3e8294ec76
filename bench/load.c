/* Two loads over keep-alive HTTP/1.1 connections to 127.0.0.1, in one thread.
 *   load pace  PORT TOKEN CONNECTIONS SECONDS RATE PATH   GET of a path, RATE times per second in total. The latency counts from
 *                                                         when the request was due, so that a stall of the server is not hidden by
 *                                                         sending fewer requests (coordinated omission). → p50, p99, p999, max
 *   load pairs PORT TOKEN CONNECTIONS SECONDS             each connection repeatedly creates a server (auto_start false) and deletes
 *                                                         it. → operations per second
 *   load creates PORT TOKEN CONNECTIONS SECONDS           the same without deletions
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn {
	int fd;
	double due; /* of the request in flight; 0: idle */
	double next;
	char id[40]; /* pairs: the created server, which is deleted next */
	char in[1 << 18]; /* a page of 100 sessions */
	size_t n;
};

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;
	return (d > 0) - (d < 0);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int dial(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* The status of a complete response, which is then dropped; 0 while it is incomplete. body (may be NULL) gets its beginning. */
static int answer(struct conn *c, char *body, size_t size)
{
	c->in[c->n] = 0;
	char *end = strstr(c->in, "\r\n\r\n"), *len = strcasestr(c->in, "Content-Length: ");
	if (!end)
		return 0;
	size_t body_len = len && len < end ? strtoul(len + 16, NULL, 10) : 0;
	size_t whole = (size_t)(end + 4 - c->in) + body_len;
	if (c->n < whole)
		return 0;
	int status = atoi(c->in + 9);
	if (body)
		snprintf(body, size, "%.*s", (int)body_len, end + 4);
	memmove(c->in, c->in + whole, c->n - whole);
	c->n -= whole;
	return status;
}

static void receive(struct conn *c)
{
	ssize_t got = read(c->fd, c->in + c->n, sizeof c->in - 1 - c->n);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		die("read");
	c->n += got > 0 ? (size_t)got : 0;
}

static void ask(struct conn *c, const char *text, int len)
{
	if (write(c->fd, text, (size_t)len) != len)
		die("write");
}

static struct conn *dial_all(int port, int n, int *ret_ep)
{
	struct conn *c = calloc((size_t)n, sizeof *c);
	*ret_ep = epoll_create1(0);
	for (int i = 0; i < n; i++) {
		c[i].fd = dial(port);
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = (unsigned)i };
		epoll_ctl(*ret_ep, EPOLL_CTL_ADD, c[i].fd, &ev);
	}
	return c;
}

static int pace(struct conn *c, int conns, int ep, const char *token, double seconds, double rate, const char *path)
{
	char request[8192];
	int request_len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, token);
	size_t max = (size_t)(rate * seconds * 1.2) + 1000, done = 0, sent = 0, good = 0;
	double *took = calloc(max, sizeof *took);
	double start = now() + 0.1, end = start + seconds, gap = conns / rate;
	for (int i = 0; i < conns; i++)
		c[i].next = start + gap * i / conns;
	for (double t = now(); t < end + 1 && (t < end || done < sent); t = now()) {
		double soonest = t + 0.001;
		for (int i = 0; i < conns; i++) {
			if (c[i].due == 0 && c[i].next <= t && c[i].next < end) {
				ask(&c[i], request, request_len);
				c[i].due = c[i].next;
				c[i].next += gap;
				sent++;
			}
			if (c[i].due == 0 && c[i].next < soonest)
				soonest = c[i].next;
		}
		struct epoll_event ev[256];
		struct timespec wait = { 0, (long)((soonest > t ? soonest - t : 0) * 1e9) };
		int n = epoll_pwait2(ep, ev, 256, &wait, NULL);
		for (int k = 0; k < n; k++) {
			struct conn *x = &c[ev[k].data.u32];
			receive(x);
			int status = x->due != 0 ? answer(x, NULL, 0) : 0;
			if (!status)
				continue;
			good += status == 200;
			if (done < max)
				took[done++] = now() - x->due;
			x->due = 0;
		}
	}
	qsort(took, done, sizeof *took, by_value);
	if (!done)
		return 1;
	printf("sent %zu ok %zu p50_ms %.3f p99_ms %.3f p999_ms %.3f max_ms %.3f\n", sent, good, took[done / 2] * 1e3,
	       took[done * 99 / 100] * 1e3, took[done * 999 / 1000] * 1e3, took[done - 1] * 1e3);
	return 0;
}

static void create_or_delete(struct conn *c, const char *token)
{
	static unsigned long number;
	char request[8192], body[128];
	int n;
	if (c->id[0]) {
		n = snprintf(request, sizeof request, "DELETE /api/v1/rdp/servers/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", c->id, token);
	} else {
		int len = snprintf(body, sizeof body, "{\"name\":\"bench %d %lu\",\"auto_start\":false}", (int)getpid(), ++number);
		n = snprintf(request, sizeof request,
			     "POST /api/v1/rdp/servers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
			     "Content-Length: %d\r\n\r\n%s", token, len, body);
	}
	ask(c, request, n);
}

static int pairs(struct conn *c, int conns, int ep, const char *token, double seconds, int keep)
{
	size_t good = 0, bad = 0;
	double start = now(), end = start + seconds;
	for (int i = 0; i < conns; i++)
		create_or_delete(&c[i], token);
	while (now() < end) {
		struct epoll_event ev[256];
		int n = epoll_wait(ep, ev, 256, 100);
		for (int k = 0; k < n; k++) {
			struct conn *x = &c[ev[k].data.u32];
			char body[4096];
			receive(x);
			int status = answer(x, body, sizeof body);
			if (!status)
				continue;
			const char *id = status == 201 && !keep ? strstr(body, "\"server_id\":\"") : NULL;
			good += status == 201 || status == 204;
			if (status != 201 && status != 204 && !bad++)
				fprintf(stderr, "%d: %.300s\n", status, body);
			x->id[0] = 0;
			if (id)
				snprintf(x->id, sizeof x->id, "%.36s", id + 13);
			create_or_delete(x, token);
		}
	}
	printf("writes %zu bad %zu per_s %.0f\n", good, bad, (double)good / (now() - start));
	return bad > 0;
}

int main(int argc, char **argv)
{
	if (argc < 6 || (strcmp(argv[1], "pace") == 0 && argc != 8)) {
		fprintf(stderr, "usage: load pace PORT TOKEN CONNECTIONS SECONDS RATE PATH | load pairs|creates PORT TOKEN CONNECTIONS SECONDS\n");
		return 2;
	}
	int ep, conns = atoi(argv[4]);
	struct conn *c = dial_all(atoi(argv[2]), conns, &ep);
	if (strcmp(argv[1], "pace") == 0)
		return pace(c, conns, ep, argv[3], atof(argv[5]), atof(argv[6]), argv[7]);
	return pairs(c, conns, ep, argv[3], atof(argv[5]), strcmp(argv[1], "creates") == 0);
}
