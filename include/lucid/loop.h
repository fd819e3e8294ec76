/*
 * loop: one thread that waits for everything. Floor F1; loop thread only, except loop_post. Nothing called here blocks, and
 * no callback may: what can take long belongs in a pool (pool.h) or a child (sys/child.h). Built on libevent.
 */
#ifndef LUCID_LOOP_H
#define LUCID_LOOP_H

#include "lucid/list.h"

struct loop;
struct event_base;

struct loop *loop_new(void);
void loop_free(struct loop *l); /* after every timer, io and post of its users is gone */
void loop_run(struct loop *l);	/* until loop_stop */
void loop_stop(struct loop *l);
struct event_base *loop_base(struct loop *l); /* for src/net only */

/* A timer: set arms it once, from now; setting again moves it. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_set_us(struct loop_timer *t, int64_t us);
void loop_timer_clear(struct loop_timer *t);
bool loop_timer_pending(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* takes NULL */

/* Watch a descriptor; it stays the caller's. events: LOOP_READ, LOOP_WRITE or both; level-triggered; 0 pauses. */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_io;
struct loop_io *loop_io_new(struct loop *l, int fd, int events, void (*fn)(int events, void *arg), void *arg);
void loop_io_set(struct loop_io *io, int events);
void loop_io_free(struct loop_io *io); /* takes NULL; before the descriptor is closed */

struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *l, int signo, void (*fn)(int signo, void *arg), void *arg);
void loop_signal_free(struct loop_signal *s); /* takes NULL */

/* Do something at the end of this turn, in order. The node is embedded and the caller's; a node already queued stays where
 * it is. */
struct loop_task {
	struct list node;
	void (*fn)(struct loop_task *t);
};
void loop_task_init(struct loop_task *t, void (*fn)(struct loop_task *t));
void loop_defer(struct loop *l, struct loop_task *t);
void loop_undefer(struct loop_task *t);

/* From any thread: run on the loop. Wakes it once, however many are posted. The node must stay until it has run. */
void loop_post(struct loop *l, struct loop_task *t);
/* Loop thread, once no other thread posts this task any more: it will not run. */
void loop_unpost(struct loop *l, struct loop_task *t);

/* Worst and latest time a turn took beyond what it had to wait, in microseconds; the worst is reset by reading. */
int64_t loop_lag_us(struct loop *l, int64_t *ret_worst_us);
/* Any thread: when the loop last came by, as clock_mono_us; twice a second while it turns. */
int64_t loop_beat_us(const struct loop *l);

#endif
