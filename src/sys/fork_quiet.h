/*
 * fork_quiet: fork, and the child has none of our signal handlers from its first instruction on. Floor F1, any thread; does not
 * block. A handler that ran in the child would write into the pipe by which this process's loop hears of its own signals: what
 * was sent to the child would be obeyed by the parent.
 */
#ifndef SYS_FORK_QUIET_H
#define SYS_FORK_QUIET_H

#include <sys/types.h>

/* As fork. In the child every signal has its default effect and none is blocked. */
pid_t fork_quiet(void);

#endif
