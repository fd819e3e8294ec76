/* children: struct children, which the files of this room share. Floor F1, loop thread; only they include this header. */
#ifndef SYS_CHILD_CHILDREN_H
#define SYS_CHILD_CHILDREN_H

#include <sys/types.h>

#include "lucid/loop.h"

struct children {
	struct loop *loop;
	struct list watches;
	struct list owned; /* struct child, node: children that are freed with it, by `owned_free` */
	void (*owned_free)(struct list *node);
	struct list jobs;
	size_t jobs_n;
	pid_t disowned[64]; /* killed and not reaped yet; if there are more, init reaps them */
	struct loop_timer *reap;
	int passed_fd; /* the descriptor that a job passed, while its `done` runs */
};

#endif
