#include "supervisor/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/log.h"
#include "lucid/metrics.h"
#include "sys/log.h"
#include "sys/fork_quiet.h"

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Everything but the given descriptors, the log's and 0 to 2: what the supervisor watches and holds is not the server's
 * business. */
static void close_others(const int *keep_fds, int pair_fd)
{
	int keep[256] = { pair_fd };
	size_t n = 1 + log_fds(keep + 1);
	for (; *keep_fds >= 0 && n < ARRAY_LEN(keep); keep_fds++)
		keep[n++] = *keep_fds;
	qsort(keep, n, sizeof keep[0], compare);
	int from = 3;
	for (size_t i = 0; i < n; i++) {
		if (keep[i] > from)
			close_range((unsigned)from, (unsigned)keep[i] - 1, 0);
		from = MAX(from, keep[i] + 1);
	}
	close_range((unsigned)from, ~0u, 0);
}

static NORETURN void become_server(const struct supervisor_env *env, int pair_fd)
{
	/* a session of its own, and no signal but those that cannot be refused: it obeys the pair, so that Ctrl-C is one
	 * signal and not two */
	static const int obeyed_by_supervisor[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t none;
	setsid();
	for (size_t i = 0; i < ARRAY_LEN(obeyed_by_supervisor); i++)
		signal(obeyed_by_supervisor[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_others(env->keep_fds, pair_fd);
	log_redirect(NULL, NULL);
	metrics_reset();
	if (privileges_drop(&env->user) < 0) {
		log_error("supervisor", "the server cannot give up its privileges: %s", strerror(errno));
		_exit(EXIT_FINAL);
	}
	prctl(PR_SET_NAME, "lucid-server", 0, 0, 0);
	int code = env->server(pair_fd, env->arg);
	log_flush();
	/* exit, not _exit: sanitizers and profilers report there */
	exit(code);
}

pid_t spawn_server(const struct supervisor_env *env, int *ret_fd)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	log_flush();
	fflush(NULL);
	pid_t pid = fork_quiet();
	if (pid == 0) {
		close(ends[0]);
		become_server(env, ends[1]);
	}
	close(ends[1]);
	if (pid < 0) {
		fd_close(&ends[0]);
		return -1;
	}
	*ret_fd = ends[0];
	return pid;
}
