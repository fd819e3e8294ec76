/*
 * loop: the event loop, on libevent. Floor F1; loop thread only, except loop_post. Nothing here blocks, and no callback may: work that
 * can take long belongs in a pool (pool.h) or a child process (sys/child/child.h).
 */
#ifndef LUCID_LOOP_H
#define LUCID_LOOP_H

#include "lucid/list.h"

struct loop;
struct event_base;

struct loop *loop_new(void);
void loop_free(struct loop *l); /* after all its timers, descriptors and posted tasks were freed */
void loop_run(struct loop *l);	/* until loop_stop */
void loop_stop(struct loop *l);
struct event_base *loop_base(struct loop *l); /* for src/net only */

/* A one-shot timer: set arms it, counted from now; setting it again reschedules it. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_set_us(struct loop_timer *t, int64_t us);
void loop_timer_clear(struct loop_timer *t);
bool loop_timer_pending(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* takes NULL */

/* Watch a descriptor, which the caller keeps. events: LOOP_READ, LOOP_WRITE or both; level-triggered; 0 pauses. */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_io;
struct loop_io *loop_io_new(struct loop *l, int fd, int events, void (*fn)(int events, void *arg), void *arg);
void loop_io_set(struct loop_io *io, int events);
void loop_io_free(struct loop_io *io); /* takes NULL; before the descriptor is closed */

struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *l, int signo, void (*fn)(int signo, void *arg), void *arg);
void loop_signal_free(struct loop_signal *s); /* takes NULL */

/* Run a task at the end of this turn of the loop, in the order of the calls. The caller owns the task. A task that is already queued
 * keeps its place. */
struct loop_task {
	struct list node;
	void (*fn)(struct loop_task *t);
};
void loop_task_init(struct loop_task *t, void (*fn)(struct loop_task *t));
void loop_defer(struct loop *l, struct loop_task *t);
void loop_undefer(struct loop_task *t); /* cancels it; also if it is not queued */

/* Any thread: run a task on the loop. However many are posted, the loop is woken once. The task must exist until it has run. A task that
 * is already posted is not posted again, as with loop_defer. */
void loop_post(struct loop *l, struct loop_task *t);
/* Loop thread: cancel a posted task. No other thread may still post it. */
void loop_unpost(struct loop *l, struct loop_task *t);

/* How late the loop's timer was when it last fired, in microseconds, and the maximum since the last call that asked for it. */
int64_t loop_lag_us(struct loop *l, int64_t *ret_worst_us);
/* Any thread: when the loop's timer last fired, as clock_mono_us. It fires twice a second while the loop runs. */
int64_t loop_beat_us(const struct loop *l);

#endif
