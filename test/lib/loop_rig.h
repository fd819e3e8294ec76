/* loop_rig: runs a loop for a time, or until something is true. For tests whose loop is this thread's. */
#ifndef TEST_LIB_LOOP_RIG_H
#define TEST_LIB_LOOP_RIG_H

#include "lucid/loop.h"

/* For a callback that ends loop_run. */
static inline void loop_rig_stop(void *loop)
{
	loop_stop(loop);
}

/* Runs the loop for this long, or until a callback stops it. */
static inline void loop_rig_run_ms(struct loop *l, int64_t ms)
{
	struct loop_timer *t = loop_timer_new(l, loop_rig_stop, l);
	loop_timer_set(t, ms);
	loop_run(l);
	loop_timer_free(t);
}

/* Runs the loop until `what` is true, which is evaluated every `each_ms`; fails after most_ms. */
#define LOOP_RIG_UNTIL(l, what, most_ms, each_ms)                                                                      \
	do {                                                                                                           \
		bool so_ = what;                                                                                       \
		for (int turns_ = 0; turns_ < (most_ms) / (each_ms) && !so_; turns_++) {                               \
			loop_rig_run_ms(l, each_ms);                                                                   \
			so_ = what;                                                                                    \
		}                                                                                                      \
		assert_true(so_);                                                                                      \
	} while (0)

#endif
