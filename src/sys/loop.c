#include "lucid/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lucid/clock.h"

struct loop {
	struct event_base *base;
	struct list tasks; /* deferred to the end of this turn */
	struct event run_tasks;
	/* posted from other threads */
	pthread_mutex_t lock;
	struct list posted;
	int wake_fd;
	struct event wake;
	struct event *beat;
	int64_t beat_due_us, lag_us, worst_us;
	int64_t beat_us; /* atomic: of the last beat */
};

#define BEAT_MS 500

static void run_list(struct list *tasks)
{
	/* a task that these defer runs in the next turn, so that a chain of tasks cannot starve the sockets */
	struct list batch, *n;
	if (list_empty(tasks))
		return;
	batch = *tasks;
	batch.next->prev = batch.prev->next = &batch;
	list_init(tasks);
	while ((n = list_take_first(&batch))) {
		struct loop_task *t = CONTAINER_OF(n, struct loop_task, node);
		t->fn(t);
	}
}

static void on_run_tasks(UNUSED evutil_socket_t fd, UNUSED short what, void *arg)
{
	run_list(&((struct loop *)arg)->tasks);
}

static void on_wake(evutil_socket_t fd, UNUSED short what, void *arg)
{
	struct loop *l = arg;
	uint64_t n;
	struct list *node;
	size_t left = 0;
	pthread_mutex_lock(&l->lock);
	if (read(fd, &n, sizeof n) < 0)
		n = 0; /* nothing to read: an earlier wake-up has read it */
	/* one at a time, so that a task is in the list until it runs; tasks posted meanwhile run after the next wake-up */
	for (node = l->posted.next; node != &l->posted; node = node->next)
		left++;
	while (left-- && (node = list_take_first(&l->posted))) {
		struct loop_task *t = CONTAINER_OF(node, struct loop_task, node);
		pthread_mutex_unlock(&l->lock);
		t->fn(t);
		pthread_mutex_lock(&l->lock);
	}
	if (!list_empty(&l->posted) && write(l->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		abort();
	pthread_mutex_unlock(&l->lock);
}

/* Measures how late the loop is, by a timer that is due every BEAT_MS. */
static void on_beat(UNUSED evutil_socket_t fd, UNUSED short what, void *arg)
{
	struct loop *l = arg;
	int64_t now = clock_mono_us();
	l->lag_us = MAX(now - l->beat_due_us, 0);
	l->worst_us = MAX(l->worst_us, l->lag_us);
	l->beat_due_us = now + BEAT_MS * 1000;
	__atomic_store_n(&l->beat_us, now, __ATOMIC_RELAXED);
	event_add(l->beat, &(struct timeval){ .tv_usec = BEAT_MS * 1000 });
}

struct loop *loop_new(void)
{
	struct loop *l = XNEW(struct loop);
	struct event_config *cfg = event_config_new();
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!l->base)
		abort();
	list_init(&l->tasks);
	list_init(&l->posted);
	pthread_mutex_init(&l->lock, NULL);
	event_assign(&l->run_tasks, l->base, -1, 0, on_run_tasks, l);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		abort();
	event_assign(&l->wake, l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	event_add(&l->wake, NULL);
	l->beat = event_new(l->base, -1, 0, on_beat, l);
	l->beat_us = clock_mono_us();
	l->beat_due_us = l->beat_us + BEAT_MS * 1000;
	event_add(l->beat, &(struct timeval){ .tv_usec = BEAT_MS * 1000 });
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	event_del(&l->run_tasks);
	event_del(&l->wake);
	event_free(l->beat);
	event_base_free(l->base);
	close(l->wake_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void loop_run(struct loop *l)
{
	event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_stop(struct loop *l)
{
	event_base_loopbreak(l->base);
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

/* --- timers */

struct loop_timer {
	struct event ev;
	void (*fn)(void *arg);
	void *arg;
};

static void on_loop_timer(UNUSED evutil_socket_t fd, UNUSED short what, void *arg)
{
	struct loop_timer *t = arg;
	t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = XNEW(struct loop_timer);
	t->fn = fn;
	t->arg = arg;
	event_assign(&t->ev, l->base, -1, 0, on_loop_timer, t);
	return t;
}

void loop_timer_set_us(struct loop_timer *t, int64_t us)
{
	us = MAX(us, 0);
	event_add(&t->ev, &(struct timeval){ .tv_sec = us / 1000000, .tv_usec = us % 1000000 });
}

void loop_timer_set(struct loop_timer *t, int64_t ms)
{
	loop_timer_set_us(t, ms * 1000);
}

void loop_timer_clear(struct loop_timer *t)
{
	event_del(&t->ev);
}

bool loop_timer_pending(const struct loop_timer *t)
{
	return event_pending(&t->ev, EV_TIMEOUT, NULL);
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	event_del(&t->ev);
	free(t);
}

/* --- descriptors */

struct loop_io {
	struct event ev;
	struct loop *loop;
	int fd, events;
	void (*fn)(int events, void *arg);
	void *arg;
};

static void on_io(UNUSED evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;
	io->fn((what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0), io->arg);
}

struct loop_io *loop_io_new(struct loop *l, int fd, int events, void (*fn)(int events, void *arg), void *arg)
{
	struct loop_io *io = XNEW(struct loop_io);
	io->loop = l;
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	event_assign(&io->ev, l->base, fd, 0, on_io, io);
	loop_io_set(io, events);
	return io;
}

void loop_io_set(struct loop_io *io, int events)
{
	if (events == io->events)
		return;
	event_del(&io->ev);
	io->events = events;
	if (!events)
		return;
	short what = (short)((events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0) | EV_PERSIST);
	event_assign(&io->ev, io->loop->base, io->fd, what, on_io, io);
	event_add(&io->ev, NULL);
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	event_del(&io->ev);
	free(io);
}

/* --- signals */

struct loop_signal {
	struct event ev;
	void (*fn)(int signo, void *arg);
	void *arg;
};

static void on_signal(evutil_socket_t signo, UNUSED short what, void *arg)
{
	struct loop_signal *s = arg;
	s->fn(signo, s->arg);
}

struct loop_signal *loop_signal_new(struct loop *l, int signo, void (*fn)(int signo, void *arg), void *arg)
{
	struct loop_signal *s = XNEW(struct loop_signal);
	s->fn = fn;
	s->arg = arg;
	event_assign(&s->ev, l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s);
	event_add(&s->ev, NULL);
	return s;
}

void loop_signal_free(struct loop_signal *s)
{
	if (!s)
		return;
	event_del(&s->ev);
	free(s);
}

/* --- the end of the turn, and other threads */

void loop_task_init(struct loop_task *t, void (*fn)(struct loop_task *t))
{
	list_init(&t->node);
	t->fn = fn;
}

void loop_defer(struct loop *l, struct loop_task *t)
{
	if (!list_empty(&t->node))
		return;
	if (list_empty(&l->tasks))
		event_active(&l->run_tasks, EV_TIMEOUT, 0);
	list_append(&l->tasks, &t->node);
}

void loop_undefer(struct loop_task *t)
{
	list_remove(&t->node);
}

void loop_post(struct loop *l, struct loop_task *t)
{
	pthread_mutex_lock(&l->lock);
	if (!list_empty(&t->node)) { /* already posted: linking it again would corrupt the list */
		pthread_mutex_unlock(&l->lock);
		return;
	}
	bool first = list_empty(&l->posted);
	list_append(&l->posted, &t->node);
	/* written with the lock held: on_wake reads the counter with the lock held too, so no wake-up is lost */
	if (first && write(l->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		abort();
	pthread_mutex_unlock(&l->lock);
}

void loop_unpost(struct loop *l, struct loop_task *t)
{
	pthread_mutex_lock(&l->lock);
	list_remove(&t->node);
	pthread_mutex_unlock(&l->lock);
}

int64_t loop_lag_us(struct loop *l, int64_t *ret_worst_us)
{
	if (ret_worst_us) {
		*ret_worst_us = l->worst_us;
		l->worst_us = 0;
	}
	return l->lag_us;
}

int64_t loop_beat_us(const struct loop *l)
{
	return __atomic_load_n(&l->beat_us, __ATOMIC_RELAXED);
}
