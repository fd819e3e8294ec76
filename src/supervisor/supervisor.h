/*
 * supervisor: the privileged process. Floor F5; one thread, libevent only, no HTTP, no store. It forks the server before any thread
 * exists, is connected to it by a socket pair, restarts it when it dies, and performs the host operations that it calls. As PID 1 it
 * also acts as init. It is the parent of the children of src/host, which outlive both processes.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "supervisor/env.h"

/* Runs until a signal ends it; returns the exit code. */
int supervisor_run(const struct supervisor_env *env);

#endif
