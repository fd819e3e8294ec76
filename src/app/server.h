/*
 * server: the process that runs the roles. Floor F7. It creates every component in order and frees them in reverse; it uses every room, and
 * no room uses it.
 */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include "app/reload.h"
#include "app/roles.h"
#include "lucid/role.h"

#define MAX_LISTENERS 64

struct listener {
	int fd;
	const struct role *role; /* NULL: the Prometheus port */
};

struct server_env {
	struct config *config; /* a reload changes live settings in it */
	const struct role *roles[ROLES_N + 1]; /* NULL-ended */
	struct listener listeners[MAX_LISTENERS];
	size_t nlisteners;
	struct reload *reload; /* for a server without a supervisor, which reads the settings itself */
	struct tls_files *tls; /* empty without TLS; the server wipes its copy after use */
};

/* Runs until it is told to stop; returns the exit code (EXIT_FINAL: a restart would fail too). pair_fd -1: there is no supervisor, and the
 * server handles signals itself. */
int server_run(const struct server_env *env, int pair_fd);
/* Create all components without running the loop, so that every metric family exists (lucid/metrics.h). For the sub-command that prints the
 * reference page. False on failure. */
bool server_make_figures(const struct server_env *env);

#endif
