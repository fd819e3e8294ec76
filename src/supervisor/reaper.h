/*
 * reaper: reaps orphans, as init does. Floor F5, supervisor only. src/host and the supervisor wait for the children they started; the
 * reaper waits for the orphans that the kernel reparents to PID 1 of a container.
 */
#ifndef SUPERVISOR_REAPER_H
#define SUPERVISOR_REAPER_H

#include "lucid/loop.h"

struct reaper;
/* Calls on_exit for each reaped orphan. Returns NULL unless this process is PID 1. */
struct reaper *reaper_new(struct loop *l, void (*on_exit)(int pid, int status, void *arg), void *arg);
void reaper_wake(struct reaper *r); /* on SIGCHLD; takes NULL */
void reaper_free(struct reaper *r); /* takes NULL */

#endif
