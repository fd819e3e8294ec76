/* thread: starts the threads of this program. Floor F1, any thread. */
#ifndef SYS_THREAD_H
#define SYS_THREAD_H

#include <pthread.h>

#include "lucid/base.h"

/* Starts a thread that ps and gdb show as `name` (its first 15 bytes). All signals are blocked in it, because the loop's thread handles
 * them. stack_bytes 0: the system's default. 0, or an errno and no thread. The caller joins or detaches it. */
int thread_start(pthread_t *ret, const char *name, size_t stack_bytes, void *(*run)(void *arg), void *arg);

#endif
