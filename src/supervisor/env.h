/* env: settings and callbacks that src/app passes to the supervisor. Floor F5. */
#ifndef SUPERVISOR_ENV_H
#define SUPERVISOR_ENV_H

#include "lucid/config.h"
#include "lucid/doc.h"
#include "sys/privileges.h"

/* Exit code of a server that must not be restarted (invalid configuration, a store of a newer version): the supervisor exits with it too. */
#define EXIT_FINAL 78

struct supervisor_env {
	const struct config *config;
	struct run_user user;
	const int *keep_fds; /* descriptors that every server inherits, such as listeners; -1 ends */
	/* Runs the server, in the forked process, after it dropped its privileges. Returns the exit code. */
	int (*server)(int pair_fd, void *arg);
	void *arg;
	bool stop_servers; /* end instances and their desktops at exit, even if STOP_SERVERS_ON_EXIT is false */
	/* SIGHUP: reads the settings again. Returns the changes for the server, or NULL if there are none. `reloaded` follows, unless it
	 * was NULL: `taken` is whether the server applied them. */
	json_t *(*reload)(void *arg);
	void (*reloaded)(bool taken, void *arg);
	/* The log file is full: returns the descriptor of a new one, or -1. NULL: the log is not a file. */
	int (*more_log)(void *more_log_arg);
	void *more_log_arg;
};

#endif
