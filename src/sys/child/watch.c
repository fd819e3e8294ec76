#include "sys/child/watch.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "sys/child/children.h"
#include "sys/child/process.h"

#define REAP_EVERY_MS 1000

struct watch {
	struct list node;
	pid_t pid;
	int pidfd;
	uint64_t start_ticks;
	int64_t since_boot_ms; /* start of the process */
	struct loop_io *io;
	watch_fn fn;
	void *arg;
};

/* --- the registry */

static void reap_disowned(void *arg)
{
	struct children *cs = arg;
	size_t left = 0;
	for (size_t n = 0; n < ARRAY_LEN(cs->disowned); n++) {
		if (cs->disowned[n] && waitpid(cs->disowned[n], NULL, WNOHANG) != 0)
			cs->disowned[n] = 0;
		left += cs->disowned[n] != 0;
	}
	if (left)
		loop_timer_set(cs->reap, REAP_EVERY_MS);
}

struct children *children_new(struct loop *l)
{
	struct children *cs = XNEW(struct children);
	cs->loop = l;
	cs->passed_fd = -1;
	cs->reap = loop_timer_new(l, reap_disowned, cs);
	list_init(&cs->watches);
	list_init(&cs->owned);
	list_init(&cs->jobs);
	return cs;
}

void children_free(struct children *cs)
{
	if (!cs)
		return;
	while (!list_empty(&cs->owned))
		cs->owned_free(cs->owned.next);
	while (!list_empty(&cs->watches))
		watch_free(CONTAINER_OF(cs->watches.next, struct watch, node));
	loop_timer_free(cs->reap);
	free(cs);
}

/* It is killed while it is an unreaped child, so its pid cannot have been reused. */
void child_disown(struct children *cs, pid_t pid)
{
	kill(pid, SIGKILL);
	for (size_t n = 0; n < ARRAY_LEN(cs->disowned); n++)
		if (!cs->disowned[n]) {
			cs->disowned[n] = pid;
			break;
		}
	loop_timer_set(cs->reap, REAP_EVERY_MS);
}

/* --- one watch */

void watch_free(struct watch *w)
{
	if (!w)
		return;
	list_remove(&w->node);
	loop_io_free(w->io);
	fd_close(&w->pidfd);
	free(w);
}

static void deliver(struct watch *w, bool known, int status)
{
	watch_fn fn = w->fn;
	void *arg = w->arg;
	struct obituary o = {
		.pid = w->pid,
		.known = known,
		.code = known && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		.signal = known && WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		.lived_ms = MAX(clock_boot_ms() - w->since_boot_ms, 0),
	};
	watch_free(w);
	fn(arg, &o);
}

static void on_pidfd(UNUSED int events, void *arg)
{
	struct watch *w = arg;
	siginfo_t si = { 0 };
	if (waitid(P_PIDFD, (id_t)w->pidfd, &si, WEXITED | WNOHANG) < 0)
		deliver(w, false, 0); /* not a child of this process, or reaped elsewhere without notice */
	else if (si.si_pid)
		deliver(w, true, si.si_code == CLD_EXITED ? (si.si_status & 0xff) << 8 : si.si_status & 0x7f);
}

struct watch *watch_new(struct children *cs, pid_t pid, uint64_t start_ticks, watch_fn fn, void *arg)
{
	_cleanup_(closep) int fd = pidfd_open(pid, 0);
	if (fd < 0)
		return NULL;
	/* the pidfd is bound to the process now; its start time shows whether it is the intended one */
	if (start_ticks && proc_start(pid) != start_ticks) {
		errno = ESRCH;
		return NULL;
	}
	struct watch *w = XNEW(struct watch);
	w->pid = pid;
	w->pidfd = TAKE_FD(fd);
	w->start_ticks = start_ticks ? start_ticks : proc_start(pid);
	/* a child is watched right after the fork; it may be a zombie without a start time by now */
	w->since_boot_ms = start_ticks ? proc_start_boot_ms(start_ticks) : clock_boot_ms();
	w->fn = fn;
	w->arg = arg;
	w->io = loop_io_new(cs->loop, w->pidfd, LOOP_READ, on_pidfd, w);
	list_append(&cs->watches, &w->node);
	return w;
}

int watch_signal(struct watch *w, int signo)
{
	return pidfd_send_signal(w->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

static void on_abandoned_end(UNUSED void *arg, UNUSED const struct obituary *o)
{
	/* the watch has reaped it; nothing else is left to do */
}

void watch_abandon(struct watch *w)
{
	if (!w)
		return;
	watch_signal(w, SIGKILL);
	w->fn = on_abandoned_end;
}

uint64_t watch_start(const struct watch *w)
{
	return w->start_ticks;
}

bool children_told(struct children *cs, pid_t pid, int status)
{
	struct watch *w;
	LIST_FOREACH (w, &cs->watches, node)
		if (w->pid == pid) {
			deliver(w, true, status);
			return true;
		}
	return false;
}
