#include "sys/child/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lucid/clock.h"

/* Most programs are ready within about 20 ms; the interval of probes grows for one that takes longer. */
#define PROBE_EVERY_MS 2
#define PROBE_PART 16

struct readiness {
	bool (*ask)(void *arg);
	void *ask_arg;
	void (*sign)(void *arg, enum readiness_sign s);
	void *arg;
	int ours, childs; /* both ends of the pipe */
	struct loop_io *io;
	struct loop_timer *probe;
	int64_t began_ms;
	struct loop *loop;
};

static void on_probe(void *arg)
{
	struct readiness *r = arg;
	if (r->ask(r->ask_arg)) {
		r->sign(r->arg, SIGN_PROBED);
		return;
	}
	loop_timer_set(r->probe, MAX((clock_mono_ms() - r->began_ms) / PROBE_PART, PROBE_EVERY_MS));
}

/* Several bytes at once count as one sign. */
static void on_pipe(UNUSED int events, void *arg)
{
	struct readiness *r = arg;
	char buf[256];
	ssize_t n = read(r->ours, buf, sizeof buf);
	if (n > 0) {
		r->sign(r->arg, SIGN_BYTE);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	loop_io_set(r->io, 0);
	r->sign(r->arg, SIGN_CLOSED);
}

struct readiness *readiness_new(struct loop *l, enum child_readiness kind, bool (*probe)(void *arg), void *probe_arg,
				void (*sign)(void *arg, enum readiness_sign s), void *arg)
{
	int ends[2] = { -1, -1 };
	bool pipe_wanted = kind == CHILD_READY_BYTE || kind == CHILD_READY_EOF;
	errno = 0;
	if (!pipe_wanted && kind != CHILD_READY_PROBE)
		return NULL;
	if (pipe_wanted && pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	struct readiness *r = XNEW(struct readiness);
	r->ask = probe;
	r->ask_arg = probe_arg;
	r->sign = sign;
	r->arg = arg;
	r->ours = ends[0];
	r->childs = ends[1];
	r->loop = l;
	return r;
}

int readiness_child_fd(const struct readiness *r)
{
	return r ? r->childs : -1;
}

void readiness_begin(struct readiness *r)
{
	fd_close(&r->childs);
	r->began_ms = clock_mono_ms();
	if (r->ours >= 0) {
		fcntl(r->ours, F_SETFL, O_NONBLOCK);
		r->io = loop_io_new(r->loop, r->ours, LOOP_READ, on_pipe, r);
		return;
	}
	r->probe = loop_timer_new(r->loop, on_probe, r);
	loop_timer_set(r->probe, PROBE_EVERY_MS);
}

void readiness_free(struct readiness *r)
{
	if (!r)
		return;
	loop_io_free(r->io);
	loop_timer_free(r->probe);
	fd_close(&r->ours);
	fd_close(&r->childs);
	free(r);
}
