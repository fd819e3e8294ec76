#include "sys/child/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fork_quiet.h"

/* --- plans */

void child_plan_arg(struct child_plan *p, const char *arg)
{
	if (p->nargv < CHILD_ARGS_MAX)
		p->argv[p->nargv] = xstrdup(arg);
	p->nargv++;
}

void child_plan_env(struct child_plan *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (p->nenv < CHILD_ENV_MAX)
		p->env[p->nenv] = xvasprintf(fmt, ap);
	va_end(ap);
	p->nenv++;
}

void child_plan_fd(struct child_plan *p, int from, int to)
{
	if (p->nfds < CHILD_FDS_MAX)
		p->fds[p->nfds] = (struct child_fd){ from, to };
	p->nfds++;
}

void child_plan_limit(struct child_plan *p, int resource, rlim_t value)
{
	if (p->nlimits < CHILD_LIMITS_MAX)
		p->limits[p->nlimits] = (struct child_limit){ resource, { value, value } };
	p->nlimits++;
}

void child_plan_done(struct child_plan *p)
{
	for (size_t n = 0; n < MIN(p->nargv, (size_t)CHILD_ARGS_MAX); n++)
		free(p->argv[n]);
	for (size_t n = 0; n < MIN(p->nenv, (size_t)CHILD_ENV_MAX); n++)
		free(p->env[n]);
	p->nargv = p->nenv = 0;
}

static size_t keep_count(const struct child_plan *p)
{
	size_t n = 0;
	while (p->keep && p->keep[n] >= 0)
		n++;
	return n;
}

static bool within_bounds(const struct child_plan *p)
{
	return p->nargv <= CHILD_ARGS_MAX && p->nenv <= CHILD_ENV_MAX && p->nfds <= CHILD_FDS_MAX && p->nlimits <= CHILD_LIMITS_MAX &&
	       p->ngroups <= CHILD_GROUPS_MAX && keep_count(p) <= CHILD_KEEP_MAX;
}

/* --- in the child: nothing here may allocate or lock */

void child_tie(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
}

static NORETURN void give_up(const char *what, int err)
{
	dprintf(2, "lucid-rdp: %s: %s\n", what, strerror(err));
	_exit(CHILD_NOT_SET_UP);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_others(const struct child_plan *p)
{
	int keep[CHILD_FDS_MAX + CHILD_KEEP_MAX];
	size_t n = keep_count(p);
	if (n)
		memcpy(keep, p->keep, n * sizeof *keep);
	for (size_t i = 0; i < p->nfds; i++)
		keep[n++] = p->fds[i].to;
	qsort(keep, n, sizeof keep[0], by_number);
	int from = 3;
	for (size_t i = 0; i < n; i++) {
		if (keep[i] > from)
			close_range((unsigned)from, (unsigned)keep[i] - 1, 0);
		from = MAX(from, keep[i] + 1);
	}
	close_range((unsigned)from, ~0u, 0);
}

/* Moves a descriptor that is still needed away from this number. */
static void make_room(struct child_fd *fds, size_t n, size_t at, int above)
{
	int moved = -1;
	for (size_t i = at + 1; i < n; i++) {
		if (fds[i].from != fds[at].to)
			continue;
		if (moved < 0)
			moved = fcntl(fds[i].from, F_DUPFD_CLOEXEC, above);
		if (moved < 0)
			give_up("descriptors", errno);
		fds[i].from = moved;
	}
}

static void hand_over_fds(const struct child_plan *p)
{
	struct child_fd fds[CHILD_FDS_MAX];
	int above = 3;
	memcpy(fds, p->fds, p->nfds * sizeof *fds);
	for (size_t i = 0; i < p->nfds; i++)
		above = MAX(above, fds[i].to + 1);
	for (size_t i = 0; i < p->nfds; i++) {
		make_room(fds, p->nfds, i, above);
		int r = fds[i].from == fds[i].to ? fcntl(fds[i].to, F_SETFD, 0) : dup2(fds[i].from, fds[i].to);
		if (r < 0)
			give_up("descriptors", errno);
	}
	close_others(p);
}

static void null_stdio(void)
{
	int nul = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nul < 0)
		return;
	dup2(nul, 0);
	dup2(nul, 1);
	if (nul > 2)
		close(nul);
}

static void set_account(const struct child_plan *p)
{
	if (setgroups(p->ngroups, p->groups) < 0 || setgid(p->gid) < 0 || setuid(p->uid) < 0)
		give_up("account", errno);
}

static NORETURN void become(const struct child_plan *p, pid_t parent)
{
	const char *what = "set-up";
	if (p->tie != CHILD_OUTLIVES)
		child_tie(parent);
	setsid();
	if (!p->keep_stdio)
		null_stdio();
	int r = p->set_up ? p->set_up(p->set_up_arg, &what) : 0;
	if (r < 0)
		give_up(what, -r);
	hand_over_fds(p);
	if (p->umask)
		umask(p->umask);
	if (p->directory && chdir(p->directory) < 0)
		give_up(p->directory, errno);
	for (size_t n = 0; n < p->nlimits; n++)
		if (setrlimit((__rlimit_resource_t)p->limits[n].resource, &p->limits[n].limit) < 0)
			give_up("limits", errno);
	/* a change of account clears it, so it is set again afterwards */
	if (p->switch_account)
		set_account(p);
	prctl(PR_SET_PDEATHSIG, p->tie == CHILD_TIED ? SIGKILL : 0);
	if (p->tie == CHILD_TIED && getppid() != parent)
		_exit(126);
	if (p->run)
		_exit(p->run(p->run_arg));
	execve(p->argv[0], p->argv, p->env);
	dprintf(2, "lucid-rdp: %s cannot be run: %s\n", p->argv[0], strerror(errno));
	_exit(CHILD_NO_PROGRAM);
}

pid_t spawn(const struct child_plan *p)
{
	if (!within_bounds(p))
		return -E2BIG;
	pid_t parent = getpid(), pid = fork_quiet();
	if (pid == 0)
		become(p, parent);
	return pid < 0 ? -errno : pid;
}
