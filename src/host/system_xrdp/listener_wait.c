#include "host/system_xrdp/listener_wait.h"

#include "host/kernel/port.h"
#include "lucid/clock.h"

/* xrdp usually listens within 20 ms. After that, the interval of the checks grows with the time waited. */
#define TRY_EVERY_MS 2
#define TRY_PART 16

struct listener_wait {
	int port;
	struct loop_timer *timer;
	int64_t began_ms, give_up_ms;
	listener_pid_fn pid;
	listener_wait_fn fn;
	void *arg;
};

void listener_wait_cancel(struct listener_wait *w)
{
	if (!w)
		return;
	loop_timer_free(w->timer);
	free(w);
}

static void listener_wait_answer(struct listener_wait *w, bool listens)
{
	listener_wait_fn fn = w->fn;
	void *arg = w->arg;
	listener_wait_cancel(w);
	fn(arg, listens);
}

static void on_listener_timer(void *arg)
{
	struct listener_wait *w = arg;
	int64_t now = clock_mono_ms();
	pid_t pid = w->pid(w->arg);
	if (pid > 0 && port_is_of(w->port, pid))
		listener_wait_answer(w, true);
	else if (now >= w->give_up_ms)
		listener_wait_answer(w, false);
	else
		loop_timer_set(w->timer, MAX((now - w->began_ms) / TRY_PART, TRY_EVERY_MS));
}

struct listener_wait *listener_wait_start(struct loop *l, int port, unsigned deadline_ms, listener_pid_fn pid, listener_wait_fn fn, void *arg)
{
	struct listener_wait *w = XNEW(struct listener_wait);
	w->port = port;
	w->pid = pid;
	w->fn = fn;
	w->arg = arg;
	w->began_ms = clock_mono_ms();
	w->give_up_ms = w->began_ms + deadline_ms;
	w->timer = loop_timer_new(l, on_listener_timer, w);
	loop_timer_set(w->timer, TRY_EVERY_MS);
	return w;
}
