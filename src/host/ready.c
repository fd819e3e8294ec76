#include "host/ready.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/instance.h"
#include "lucid/clock.h"

#define TRY_EVERY_US 2000
#define TRY_TIMEOUT_MS 1000
#define REMEMBER_MS 5000
#define REMEMBER 64

/* X.224 connection request with an RDP negotiation request: TLS or classic. */
static const unsigned char request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0 };

struct ready {
	struct host *host;
	int port, fd;
	struct loop_io *io;
	struct loop_timer *timer;
	int64_t until_ms, give_up_ms;
	unsigned char answer[11];
	size_t got;
	bool sent;
	ready_fn fn;
	void *arg;
};

/* Source ports that were ours a moment ago: the xrdp child of a probe lingers a little. */
static struct {
	int port;
	int64_t until_ms;
} used[REMEMBER];
static size_t next_used;

bool ready_is_probe(int source_port)
{
	int64_t now = clock_mono_ms();
	for (size_t n = 0; n < REMEMBER; n++)
		if (used[n].port == source_port && used[n].until_ms > now)
			return true;
	return false;
}

static void remember(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return;
	used[next_used].port = ntohs(sa.sin_port);
	used[next_used].until_ms = clock_mono_ms() + REMEMBER_MS;
	next_used = (next_used + 1) % REMEMBER;
}

static void hang_up(struct ready *r)
{
	loop_io_free(r->io);
	r->io = NULL;
	fd_close(&r->fd);
	r->sent = false;
	r->got = 0;
}

void ready_cancel(struct ready *r)
{
	if (!r)
		return;
	hang_up(r);
	loop_timer_free(r->timer);
	free(r);
}

static void finish(struct ready *r, bool answers)
{
	ready_fn fn = r->fn;
	void *arg = r->arg;
	ready_cancel(r);
	fn(arg, answers);
}

static void again(struct ready *r)
{
	hang_up(r);
	loop_timer_set_us(r->timer, TRY_EVERY_US);
}

static void on_io(int events, void *arg)
{
	struct ready *r = arg;
	if (!r->sent) {
		if (!(events & LOOP_WRITE))
			return;
		if (send(r->fd, request, sizeof request, MSG_NOSIGNAL) != sizeof request) {
			again(r); /* refused: it does not listen yet */
			return;
		}
		r->sent = true;
		loop_io_set(r->io, LOOP_READ);
		return;
	}
	ssize_t n = recv(r->fd, r->answer + r->got, sizeof r->answer - r->got, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		again(r);
		return;
	}
	r->got += (size_t)n;
	if (r->got < sizeof r->answer)
		return;
	if (r->answer[0] == 3 && r->answer[5] == 0xd0)
		finish(r, true); /* connection confirm */
	else
		again(r); /* whoever that is, it does not speak RDP */
}

static void on_timer(void *arg)
{
	struct ready *r = arg;
	int64_t now = clock_mono_ms();
	if (now >= r->give_up_ms) {
		finish(r, false);
		return;
	}
	if (r->fd >= 0 && now < r->until_ms) {
		loop_timer_set(r->timer, r->until_ms - now);
		return;
	}
	hang_up(r);
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)r->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->fd < 0 || (connect(r->fd, (struct sockaddr *)&sa, sizeof sa) < 0 && errno != EINPROGRESS)) {
		again(r);
		return;
	}
	remember(r->fd);
	r->until_ms = MIN(now + TRY_TIMEOUT_MS, r->give_up_ms);
	r->io = loop_io_new(r->host->loop, r->fd, LOOP_WRITE, on_io, r);
	loop_timer_set(r->timer, r->until_ms - now);
}

struct ready *ready_start(struct host *h, int port, unsigned deadline_ms, ready_fn fn, void *arg)
{
	struct ready *r = XNEW(struct ready);
	r->host = h;
	r->port = port;
	r->fd = -1;
	r->fn = fn;
	r->arg = arg;
	r->give_up_ms = clock_mono_ms() + deadline_ms;
	r->timer = loop_timer_new(h->loop, on_timer, r);
	loop_timer_set_us(r->timer, TRY_EVERY_US);
	return r;
}
