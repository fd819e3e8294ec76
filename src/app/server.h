/*
 * server: the process that all roles of this program live in. Floor F7. Everything is made here, in order, and taken apart
 * in the reverse; it knows every room, and no room knows it.
 */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include "app/reload.h"
#include "lucid/role.h"

#define MAX_LISTENERS 64

struct listener {
	int fd;
	const struct role *role; /* NULL: the Prometheus port */
};

struct server_env {
	struct config *config; /* live settings change in it */
	const struct role *roles[8]; /* NULL-ended */
	struct listener listeners[MAX_LISTENERS];
	size_t nlisteners;
	struct reload *reload; /* without a supervisor the server reads the settings itself */
	struct tls_files *tls; /* nothing in it without TLS; the server wipes its own copy once it has used it */
};

/* Until it is told to leave; returns the exit code (EXIT_FINAL: starting again does not mend it). pair_fd -1: there is no
 * supervisor, and signals are heard here. */
int server_run(const struct server_env *env, int pair_fd);
/* Make all of it and let nothing of it turn: after that every figure there is has its family (metrics.h). For the process that prints
 * the reference page, which ends then. False when it cannot be made. */
bool server_make_figures(const struct server_env *env);

#endif
