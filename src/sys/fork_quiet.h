/*
 * fork_quiet: fork without inherited signal handlers, from the child's first instruction on. Floor F1, any thread; does not block. An
 * inherited handler of libevent would write to the parent's signal pipe, so that the parent would act on a signal sent to the child.
 */
#ifndef SYS_FORK_QUIET_H
#define SYS_FORK_QUIET_H

#include <sys/types.h>

/* Like fork. In the child, every signal has its default disposition and none is blocked. */
pid_t fork_quiet(void);

#endif
