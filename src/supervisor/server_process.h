/* server_process: how the supervisor starts the server. Floor F5, supervisor only, single-threaded. */
#ifndef SUPERVISOR_SERVER_PROCESS_H
#define SUPERVISOR_SERVER_PROCESS_H

#include "supervisor/env.h"
#include "sys/child/spawn.h"

struct server_process {
	const struct supervisor_env *env;
	int ours, its; /* ends of the socket pair between plan and fork; otherwise -1 */
	int keep[CHILD_KEEP_MAX + 2];
};
void server_process_init(struct server_process *p, const struct supervisor_env *env);
/* Makes a new socket pair, and a plan that forks this process as the server. 0 or -errno. */
int server_process_plan(struct server_process *p, struct child_plan *ret);
/* After the fork: the supervisor's end of the pair, which the caller owns. */
int server_process_take_pair(struct server_process *p);

#endif
