/*
 * reaper: what init does. Floor F5, supervisor only. Children that src/host or the supervisor started are waited for by
 * those; here go the orphans that the kernel hands to PID 1 of a container.
 */
#ifndef SUPERVISOR_REAPER_H
#define SUPERVISOR_REAPER_H

#include "lucid/loop.h"

struct reaper;
/* on_exit is told of each orphan reaped. NULL, and nothing to do, unless this process is PID 1. */
struct reaper *reaper_new(struct loop *l, void (*on_exit)(int pid, int status, void *arg), void *arg);
void reaper_wake(struct reaper *r); /* SIGCHLD came; takes NULL */
void reaper_free(struct reaper *r); /* takes NULL */

#endif
