#include "supervisor/server_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/log.h"
#include "lucid/metrics.h"
#include "sys/log.h"

/* Runs in the forked process. It ignores signals, so that Ctrl-C reaches only the supervisor, which drains it through the pair. */
static int server_run(void *arg)
{
	static const int for_supervisor[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	const struct server_process *p = arg;
	const struct supervisor_env *env = p->env;
	for (size_t i = 0; i < ARRAY_LEN(for_supervisor); i++)
		signal(for_supervisor[i], SIG_IGN);
	log_redirect(NULL, NULL);
	metrics_reset();
	if (privileges_drop(&env->user) < 0) {
		log_error("supervisor", "the server process cannot drop its privileges: %s", strerror(errno));
		_exit(EXIT_FINAL);
	}
	prctl(PR_SET_NAME, "lucid-server", 0, 0, 0);
	int code = env->server(p->its, env->arg);
	log_flush();
	/* exit, not _exit: sanitizers and profilers report at exit */
	exit(code);
}

void server_process_init(struct server_process *p, const struct supervisor_env *env)
{
	*p = (struct server_process){ .env = env, .ours = -1, .its = -1 };
}

/* The descriptors that the server inherits besides the pair: the listeners and those of the log. */
static int keep_fds(struct server_process *p)
{
	int log[1 + LOG_OLD];
	size_t n = 0, nlog = log_fds(log);
	for (const int *fd = p->env->keep_fds; *fd >= 0; fd++) {
		if (n + nlog >= CHILD_KEEP_MAX)
			return -E2BIG;
		p->keep[n++] = *fd;
	}
	for (size_t i = 0; i < nlog; i++)
		if (log[i] >= 0)
			p->keep[n++] = log[i];
	p->keep[n] = -1;
	return 0;
}

int server_process_plan(struct server_process *p, struct child_plan *ret)
{
	int ends[2], r = keep_fds(p);
	if (r < 0)
		return r;
	fd_close(&p->ours);
	fd_close(&p->its);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	p->ours = ends[0];
	p->its = ends[1];
	ret->run = server_run;
	ret->run_arg = p;
	ret->keep = p->keep;
	ret->keep_stdio = true;
	child_plan_fd(ret, p->its, p->its);
	/* both processes would write text that is still buffered */
	log_flush();
	fflush(NULL);
	return 0;
}

int server_process_take_pair(struct server_process *p)
{
	fd_close(&p->its);
	return TAKE_FD(p->ours);
}
