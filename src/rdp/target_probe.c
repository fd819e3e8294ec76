#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "net/resolve.h"
#include "rdp/target_host.h"
#include "rdp/x224.h"

#define WHY_MAX 384

struct target_prober {
	struct loop *loop;
	struct resolver *resolver;
	struct target_list *list;
	struct list probes;
	size_t n;
};

struct target_probe {
	struct list node;
	struct target_prober *prober;
	char host[TARGET_HOST_MAX + 1];
	int port;
	target_done done;
	void *arg;
	struct loop_task task; /* begins the probe, or delivers a result, outside of target_probe */
	struct loop_timer *timer; /* of the resolution, then of each address */
	int64_t deadline_ms;
	struct resolving *resolving;
	char addresses[RESOLVE_MAX][TARGET_ADDRESS_SIZE];
	size_t n, next; /* next: the address to be tried after the present one */
	int fd;
	struct loop_io *io;
	bool sent;
	unsigned char answer[X224_ANSWER_MAX];
	size_t got;
	struct target_result result;
};
_Static_assert(TARGET_ADDRESS_SIZE == RESOLVE_SIZE, "addresses are copied from the resolver");

const char *target_outcome_to_string(enum target_outcome o)
{
	static const char *const names[] = {
		[TARGET_REACHABLE] = "reachable",   [TARGET_REFUSED] = "refused",	    [TARGET_NO_ROUTE] = "no_route",
		[TARGET_TIMED_OUT] = "timed_out",   [TARGET_NOT_RDP] = "not_rdp",	    [TARGET_UNKNOWN_NAME] = "unknown_name",
		[TARGET_NOT_ALLOWED] = "not_allowed", [TARGET_BUSY] = "busy",
	};
	return names[o];
}

const char *target_security_to_string(enum target_security s)
{
	static const char *const names[] = { [TARGET_RDP] = "rdp", [TARGET_TLS] = "tls", [TARGET_NLA] = "nla" };
	return names[s];
}

/* --- the end */

static void probe_hang_up(struct target_probe *q)
{
	loop_io_free(q->io);
	q->io = NULL;
	fd_close(&q->fd);
}

static void probe_free(struct target_probe *q)
{
	probe_hang_up(q);
	loop_undefer(&q->task);
	loop_timer_free(q->timer);
	resolve_cancel(q->resolving);
	list_remove(&q->node);
	q->prober->n--;
	free(q);
}

static void probe_end(struct target_probe *q, enum target_outcome outcome, const char *fmt, ...) PRINTF(3, 4);
static void probe_end(struct target_probe *q, enum target_outcome outcome, const char *fmt, ...)
{
	char why[WHY_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	struct target_result r = q->result;
	bool v6 = strchr(q->host, ':');
	r.outcome = outcome;
	if (*why)
		snprintf(r.why, sizeof r.why, "%s%.100s%s%s:%d %s", v6 ? "[" : "", q->host, strlen(q->host) > 100 ? "…" : "", v6 ? "]" : "", q->port, why);
	target_done done = q->done;
	void *arg = q->arg;
	probe_free(q);
	done(&r, arg);
}

static void probe_failed(struct target_probe *q, int err)
{
	if (err == ECONNREFUSED)
		probe_end(q, TARGET_REFUSED, "refused the connection; start the RDP server there, or correct the port");
	else if (err == ETIMEDOUT)
		probe_end(q, TARGET_TIMED_OUT, "did not answer within %d s; check the address, the port, and firewalls on the way", TARGET_TIMEOUT_MS / 1000);
	else
		probe_end(q, TARGET_NO_ROUTE, "cannot be reached from this host (%s); check the address and the routes", strerror(err));
}

static void probe_not_rdp(struct target_probe *q, const char *what)
{
	probe_end(q, TARGET_NOT_RDP, "%s; correct the port", what);
}

/* --- one address after another */

static void probe_next(struct target_probe *q, int err);

static void probe_read(struct target_probe *q)
{
	ssize_t n = recv(q->fd, q->answer + q->got, sizeof q->answer - q->got, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		probe_not_rdp(q, "accepted the connection and closed it without the answer of an RDP server");
		return;
	}
	q->got += (size_t)n;
	switch (x224_answer(q->answer, q->got, &q->result.security)) {
	case X224_ANSWERED:
		probe_end(q, TARGET_REACHABLE, "%s", "");
		return;
	case X224_OTHER:
		probe_not_rdp(q, "answers, but is not an RDP server");
		return;
	case X224_MORE: /* an answer is shorter than the buffer */
		return;
	}
}

static void on_probe_io(UNUSED int events, void *arg)
{
	struct target_probe *q = arg;
	int err = 0;
	socklen_t len = sizeof err;
	if (q->sent) {
		probe_read(q);
		return;
	}
	getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (!err && send(q->fd, x224_request, sizeof x224_request, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof x224_request)
		err = errno ? errno : EIO;
	if (err) {
		probe_next(q, err);
		return;
	}
	q->sent = true;
	loop_io_set(q->io, LOOP_READ);
}

/* Opens a connection to the next address. 0, or an errno. */
static int probe_connect(struct target_probe *q)
{
	const char *address = q->addresses[q->next];
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)q->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)q->port) };
	bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return EADDRNOTAVAIL;
	q->fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (q->fd < 0)
		return errno;
	int rc = is_v4 ? connect(q->fd, (struct sockaddr *)&v4, sizeof v4) : connect(q->fd, (struct sockaddr *)&v6, sizeof v6);
	if (rc < 0 && errno != EINPROGRESS)
		return errno;
	q->io = loop_io_new(q->prober->loop, q->fd, LOOP_WRITE, on_probe_io, q);
	return 0;
}

/* Tries the next address, with its share of the time that is left. err: of the one before. */
static void probe_next(struct target_probe *q, int err)
{
	for (; q->next < q->n; q->next++) {
		int64_t left = q->deadline_ms - clock_mono_ms();
		probe_hang_up(q);
		q->sent = false;
		q->got = 0;
		str_copy(q->result.address, sizeof q->result.address, q->addresses[q->next]);
		if (left <= 0)
			err = ETIMEDOUT;
		int rc = left <= 0 ? ETIMEDOUT : probe_connect(q);
		if (rc == 0) {
			loop_timer_set(q->timer, MAX(left / (int64_t)(q->n - q->next), 1));
			q->next++;
			return;
		}
		err = rc;
	}
	probe_failed(q, err);
}

static void on_probe_timer(void *arg)
{
	struct target_probe *q = arg;
	if (q->resolving)
		probe_end(q, TARGET_UNKNOWN_NAME, "cannot be resolved: no name server answered within %d s; check the name, or give an address", TARGET_TIMEOUT_MS / 1000);
	else if (q->sent && q->next == q->n)
		probe_not_rdp(q, "accepts connections, but did not answer as an RDP server does");
	else
		probe_next(q, ETIMEDOUT);
}

/* --- which addresses */

static void probe_refuse(struct target_probe *q)
{
	probe_end(q, TARGET_NOT_ALLOWED, "is not an allowed target; have an admin add it to RDP_TARGETS_ALLOWED");
}

static void probe_addresses(struct target_probe *q, const char (*addresses)[RESOLVE_SIZE], size_t n)
{
	size_t bad;
	if (!target_list_allows(q->prober->list, q->host, addresses, n, &bad)) {
		if (bad < n)
			str_copy(q->result.address, sizeof q->result.address, addresses[bad]);
		probe_refuse(q);
		return;
	}
	memcpy(q->addresses, addresses, n * sizeof *addresses);
	q->n = n;
	probe_next(q, 0);
}

static void on_probe_resolved(const char (*addresses)[RESOLVE_SIZE], size_t n, const char *why, void *arg)
{
	struct target_probe *q = arg;
	q->resolving = NULL;
	if (n)
		probe_addresses(q, addresses, n);
	else
		probe_end(q, TARGET_UNKNOWN_NAME, "cannot be resolved: %s; correct the name, or give an address", why);
}

static void probe_begin(struct loop_task *t)
{
	struct target_probe *q = CONTAINER_OF(t, struct target_probe, task);
	if (q->result.outcome == TARGET_BUSY) {
		probe_end(q, TARGET_BUSY, "was not tried, because %d targets are being tried already; retry in %d s", TARGET_PROBES_MAX, TARGET_TIMEOUT_MS / 1000);
		return;
	}
	if (!*q->host || !target_list_may_resolve(q->prober->list, q->host)) {
		probe_refuse(q);
		return;
	}
	q->deadline_ms = clock_mono_ms() + TARGET_TIMEOUT_MS;
	loop_timer_set(q->timer, TARGET_TIMEOUT_MS);
	/* if it returns NULL, the result was delivered already, and q may be gone */
	struct resolving *r = resolve_all(q->prober->resolver, q->host, on_probe_resolved, q);
	if (r)
		q->resolving = r;
}

struct target_probe *target_probe(struct target_prober *p, const char *host, int port, target_done done, void *arg)
{
	struct target_probe *q = XNEW(struct target_probe);
	*q = (struct target_probe){ .prober = p, .port = port, .done = done, .arg = arg, .fd = -1 };
	if (!target_host_fold(host, q->host))
		q->host[0] = 0;
	q->timer = loop_timer_new(p->loop, on_probe_timer, q);
	q->result.outcome = p->n < TARGET_PROBES_MAX ? TARGET_REACHABLE : TARGET_BUSY;
	list_append(&p->probes, &q->node);
	p->n++;
	loop_task_init(&q->task, probe_begin);
	loop_defer(p->loop, &q->task);
	return q;
}

void target_probe_cancel(struct target_probe *q)
{
	if (q)
		probe_free(q);
}

/* --- the prober */

struct target_prober *target_prober_new(struct loop *l)
{
	char why[1];
	struct target_prober *p = XNEW(struct target_prober);
	p->loop = l;
	p->resolver = resolver_new(l);
	p->list = target_list_new(NULL, why, sizeof why);
	list_init(&p->probes);
	return p;
}

void target_prober_allow(struct target_prober *p, struct target_list *consume_list)
{
	target_list_free(p->list);
	p->list = consume_list;
}

void target_prober_free(struct target_prober *p)
{
	if (!p)
		return;
	while (!list_empty(&p->probes))
		probe_free(CONTAINER_OF(p->probes.next, struct target_probe, node));
	target_list_free(p->list);
	resolver_free(p->resolver);
	free(p);
}
