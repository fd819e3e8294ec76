#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/app_config.h"
#include "app/commands.h"
#include "app/roles.h"
#include "lucid/clock.h"

#define TIMEOUT_S 5 /* each readiness check is bounded to as much */

static const char help[] =
	"lucid-rdp healthcheck [URL] [--live] [--timeout SECONDS] [OPTION…]: asks a running program and exits 0 when it is ready, else\n"
	"1 with a sentence. Without a URL it asks GET /health/ready on the first role's port, found from the same settings.\n"
	"  URL                  http://host:port[/path]; /health/ready where it has no path\n"
	"  --live               ask /health: does it answer at all\n"
	"  --timeout SECONDS    for all of it, default 5\n";

struct target {
	const char *url, *timeout;
	bool live;
	char host[256], port[8], path[512];
};

static int take(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct target *t = arg;
	if (str_eq(argv[*i], "--live"))
		return t->live = true;
	if (argv[*i][0] != '-' && !t->url) {
		t->url = argv[*i];
		return 1;
	}
	return cli_value(c, "--timeout", argc, argv, i, &t->timeout);
}

static bool parse_url(struct target *t)
{
	int64_t port;
	if (!str_starts(t->url, "http://"))
		return false;
	const char *host = t->url + 7, *end = host + strcspn(host, "/?#");
	const char *colon = end;
	bool bracket = *host == '[';
	const char *close = bracket ? memchr(host, ']', (size_t)(end - host)) : NULL;
	if (bracket && !close)
		return false;
	for (const char *p = close ? close : host; p < end; p++)
		if (*p == ':')
			colon = p;
	const char *first = bracket ? host + 1 : host, *last = bracket ? close : colon;
	if (last <= first || last - first >= (int)sizeof t->host || (*end && *end != '/') || strlen(end) >= sizeof t->path)
		return false;
	memcpy(t->host, first, (size_t)(last - first));
	_cleanup_(xfreep) char *digits = colon < end ? xstrndup(colon + 1, (size_t)(end - colon - 1)) : xstrdup("80");
	if (!str_int(digits, 1, 65535, &port) || strlen(digits) >= sizeof t->port || strpbrk(t->url, " @\r\n"))
		return false;
	strcpy(t->port, digits);
	if (*end)
		strcpy(t->path, end);
	return true;
}

/* Where this host's own program listens: an address for everything is asked on loopback. */
static bool from_settings(struct target *t, struct cli *c)
{
	const struct role *roles[8];
	char why[512];
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load_or_say(c);
	if (!config)
		return false;
	if (roles_select(config_list(config, "ROLE"), roles, why, sizeof why)) {
		const char *const *bind = config_list(config, "BIND_ADDRESS");
		const char *host = !bind[0] || str_eq(bind[0], "0.0.0.0") ? "127.0.0.1" : str_eq(bind[0], "::") ? "::1" : bind[0];
		snprintf(t->host, sizeof t->host, "%s", host);
		snprintf(t->port, sizeof t->port, "%d", (int)config_int(config, roles[0]->port_option));
	}
	config_free(config);
	return *t->port;
}

/* 1 ready, 0 the time is up, negative errno. */
static int wait_for(int fd, short events, int64_t end_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	while ((left = end_ms - clock_mono_ms()) > 0) {
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

/* A connected descriptor, or a negated errno. */
static int connect_to(const struct target *t, int64_t end_ms)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int err = -EHOSTUNREACH;
	if (getaddrinfo(t->host, t->port, &hints, &list) != 0)
		return err;
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		_cleanup_(closep) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			continue;
		int so = 0;
		socklen_t len = sizeof so;
		if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			err = -errno;
			if (errno != EINPROGRESS)
				continue;
			int rc = wait_for(fd, POLLOUT, end_ms);
			if (rc <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &so, &len) < 0 || so) {
				err = rc == 0 ? -ETIMEDOUT : so ? -so : -EIO;
				continue;
			}
		}
		freeaddrinfo(list);
		return TAKE_FD(fd);
	}
	freeaddrinfo(list);
	return err;
}

/* The first bytes of the answer into buf; 0 or a negated errno. The connection is closed by the other side after it. */
static int ask(const struct target *t, int fd, int64_t end_ms, char *buf, size_t size)
{
	char request[1024];
	bool six = strchr(t->host, ':') != NULL;
	int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: lucid-rdp-healthcheck\r\nConnection: close\r\n\r\n",
			 t->path, six ? "[" : "", t->host, six ? "]" : "", t->port);
	size_t len = 0;
	if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
		return -EIO;
	for (;;) {
		int rc = wait_for(fd, POLLIN, end_ms);
		if (rc <= 0)
			return rc ? rc : -ETIMEDOUT;
		ssize_t r = recv(fd, buf + len, size - 1 - len, 0);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (r < 0)
			return -errno;
		len += (size_t)r;
		buf[len] = 0;
		if (r == 0 || len == size - 1)
			return 0;
	}
}

static int judge(const struct target *t, const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");
	bool good = strncmp(answer, "HTTP/1.1 200", 12) == 0 || strncmp(answer, "HTTP/1.0 200", 12) == 0;
	if (good)
		return 0;
	if (strncmp(answer, "HTTP/1.", 7) != 0)
		fprintf(stderr, "healthcheck: %s port %s does not answer HTTP\n", t->host, t->port);
	else
		fprintf(stderr, "healthcheck: %s answers %.3s: %.2000s\n", t->path, answer + 9, body ? body + 4 : "");
	return 1;
}

int cmd_healthcheck(struct cli *c, int argc, char **argv)
{
	struct target t = { 0 };
	int code = EXIT_USAGE;
	int64_t seconds = TIMEOUT_S;
	if (!command_words(c, argc, argv, help, take, &t, &code))
		return code;
	if (t.timeout && !str_int(t.timeout, 1, 300, &seconds)) {
		fprintf(stderr, "healthcheck: --timeout takes 1 to 300 seconds\n");
		return EXIT_USAGE;
	}
	if (t.url && !parse_url(&t)) {
		fprintf(stderr, "healthcheck: the URL must be http://host:port[/path]\n");
		return EXIT_USAGE;
	}
	if (!t.url && !from_settings(&t, c))
		return 1;
	if (!*t.path || str_eq(t.path, "/"))
		strcpy(t.path, t.live ? "/health" : "/health/ready");
	int64_t end_ms = clock_mono_ms() + seconds * 1000;
	char answer[4096] = "";
	_cleanup_(closep) int fd = connect_to(&t, end_ms);
	int err = fd < 0 ? fd : ask(&t, fd, end_ms, answer, sizeof answer);
	if (err < 0) {
		fprintf(stderr, "healthcheck: %s port %s: %s\n", t.host, t.port, strerror(-err));
		return 1;
	}
	return judge(&t, answer);
}
