/*
 * supervisor: the privileged process. Floor F5; one thread, libevent only, no HTTP, no store. It forks the server before any
 * thread exists, keeps a socket pair to it, starts it anew when it dies, does the host operations it asks for, and is init
 * where it is PID 1. It owns the children of src/host, which outlive both of them.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "lucid/config.h"
#include "lucid/doc.h"
#include "sys/privileges.h"

/* Exit codes of the server that starting again cannot mend (bad configuration, a newer store): said, and passed on. */
#define EXIT_FINAL 78

struct supervisor_env {
	const struct config *config;
	struct run_user user;
	const int *keep_fds; /* listeners and the like, handed to every server; -1 ends */
	/* The server's own life, in the forked process, already without privileges; returns its exit code. */
	int (*server)(int pair_fd, void *arg);
	void *arg;
	bool stop_servers; /* end instances and their desktops when leaving, whatever STOP_SERVERS_ON_EXIT says */
	/* SIGHUP: read the settings anew. What the server shall take up, or NULL when there is nothing; then, unless it was NULL,
	 * whether it did. */
	json_t *(*reload)(void *arg);
	void (*reloaded)(bool taken, void *arg);
};

/* Until a signal ends it; returns the exit code. */
int supervisor_run(const struct supervisor_env *env);

#endif
