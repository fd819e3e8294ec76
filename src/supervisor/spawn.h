/* spawn: forks the server. Floor F5, supervisor only, single-threaded. */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include "supervisor/supervisor.h"

/* Fork the server with a fresh socket pair. Returns its pid, with our end of the pair in *ret_fd; -1 with errno. */
pid_t spawn_server(const struct supervisor_env *env, int *ret_fd);

#endif
