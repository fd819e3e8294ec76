/*
 * http_hello: the cost of the HTTP layer. A constant response from a bare libevhtp server, or from src/net/http with its gate,
 * on one pinned core:  http_hello evhtp|net PORT CPU [CERT KEY]   — then: wrk -t1 -c64 -d5s http://127.0.0.1:PORT/
 * With two PEM files it uses TLS.
 * On SIGTERM or SIGINT it prints the number of requests and the CPU time of each, which varies less than requests per second.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <evhtp.h>
#undef LIST_FOREACH
#undef LIST_FOREACH_SAFE

#include "lucid/str.h"
#include "net/http.h"
#include "net/tls.h"

#define HELLO "{\"data\":\"hello, this is about as long as a short answer is\"}\n"
static uint64_t answered;

static void tell(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	double us = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
		    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
	printf("{\"requests\":%llu,\"cpu_us_per_request\":%.3f}\n", (unsigned long long)answered,
	       answered ? us / (double)answered : 0.0);
	fflush(stdout);
}

static int listener(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 1024) < 0) {
		perror("http_hello: bind");
		exit(1);
	}
	return fd;
}

static void on_bare(evhtp_request_t *r, UNUSED void *arg)
{
	answered++;
	evhtp_headers_add_header(r->headers_out, evhtp_header_new("Content-Type", "application/json", 0, 0));
	evbuffer_add(r->buffer_out, HELLO, sizeof HELLO - 1);
	evhtp_send_reply(r, EVHTP_RES_OK);
}

static void on_bare_signal(UNUSED evutil_socket_t fd, UNUSED short what, void *base)
{
	event_base_loopbreak(base);
}

static void run_bare(uint16_t port, char **pem)
{
	struct event_base *base = event_base_new();
	evhtp_t *htp = evhtp_new(base, NULL);
	evhtp_set_gencb(htp, on_bare, NULL);
	evhtp_ssl_cfg_t tls = { .pemfile = pem[0], .privfile = pem[1] };
	if (pem[0] && evhtp_ssl_init(htp, &tls) < 0)
		exit(1);
	if (evhtp_accept_socket(htp, listener(port), 0) < 0)
		exit(1);
	event_add(evsignal_new(base, SIGTERM, on_bare_signal, base), NULL);
	event_add(evsignal_new(base, SIGINT, on_bare_signal, base), NULL);
	event_base_dispatch(base);
}

static void on_net(struct http_req *r, UNUSED void *arg)
{
	static const struct http_header TYPE = { "Content-Type", "application/json" };
	answered++;
	http_reply(r, 200, &TYPE, 1, HELLO, sizeof HELLO - 1);
}

static void on_net_signal(UNUSED int signo, void *loop)
{
	loop_stop(loop);
}

static char *text_of(const char *path)
{
	static char texts[2][1 << 16];
	static size_t n;
	FILE *f = fopen(path, "r");
	if (!f || !fread(texts[n], 1, sizeof texts[n] - 1, f)) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return texts[n++];
}

static void use_tls(struct http_server *s, char **pem)
{
	char why[256];
	const struct http_tls tls = { text_of(pem[0]), text_of(pem[1]) };
	if (http_server_tls(s, &tls, why, sizeof why) == 0)
		return;
	fprintf(stderr, "http_hello: %s\n", why);
	exit(1);
}

static void run_net(uint16_t port, char **pem)
{
	const struct http_limits lim = { 1 << 20, 16 << 10, 4096, 10, 30, 75 };
	struct loop *l = loop_new();
	struct http_server *s = http_server_new(l, &lim, on_net, NULL, NULL);
	if (pem[0])
		use_tls(s, pem);
	if (http_server_listen(s, listener(port), 0, pem[0]) < 0)
		exit(1);
	loop_signal_new(l, SIGTERM, on_net_signal, l);
	loop_signal_new(l, SIGINT, on_net_signal, l);
	loop_run(l);
}

int main(int argc, char **argv)
{
	int64_t port, cpu;
	cpu_set_t set;
	if ((argc != 4 && argc != 6) || !str_int(argv[2], 1, 65535, &port) || !str_int(argv[3], 0, CPU_SETSIZE - 1, &cpu)) {
		fprintf(stderr, "usage: http_hello evhtp|net PORT CPU [CERT KEY]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		perror("http_hello: not pinned");
	if (str_eq(argv[1], "evhtp"))
		run_bare((uint16_t)port, argv + 4);
	else
		run_net((uint16_t)port, argv + 4);
	tell();
	return 0;
}
