#include "host/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/run.h"
#include "host/watch.h"
#include "lucid/clock.h"
#include "sys/fork_quiet.h"

static NORETURN void fail(const char *what)
{
	dprintf(2, "lucid-rdp: %s: %s\n", what, strerror(errno));
	_exit(127);
}

static char *const environment[] = {
	(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	(char *)"HOME=/",
	NULL,
};

/* The child's side. Nothing here allocates or takes a lock. What it opens is by path, with root's rights, before the
 * namespace is entered: the instance's own view of /etc must not matter to us. */
static NORETURN void run(const struct instance *i, const struct daemon *d, const char *out_path, pid_t parent, char **argv)
{
	const struct host *h = i->host;
	/* until it can be found by its group and its namespace it does not outlive us */
	child_tie(parent);
	int out = open(out_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (out < 0)
		_exit(126);
	int ns_fd = i->ns_fd >= 0 ? fcntl(i->ns_fd, F_DUPFD_CLOEXEC, 16) : -1;
	int r = i->daemons ? cgroup_attach(i->daemons, getpid()) : 0;
	if (r < 0) {
		errno = -r;
		dup2(out, 2);
		fail("control group");
	}
	int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (score >= 0 && write(score, "0", 1) < 0)
		close(score); /* not allowed to: what we have is inherited */
	if (ns_fd >= 0) {
		r = ns_enter(ns_fd);
		if (r < 0) {
			errno = -r;
			dup2(out, 2);
			fail("mount namespace");
		}
	}
	/* stdin and stdout go to /dev/null there; descriptor 3 is what is kept */
	child_clean(out);
	dup2(3, 1);
	dup2(3, 2);
	close(3);
	umask(022);
	if (chdir("/") < 0)
		fail("/");
	prctl(PR_SET_PDEATHSIG, 0);
	struct rlimit core = { 0, 0 };
	setrlimit(RLIMIT_CORE, &core);
	if (d == &i->xrdp && h->is_root &&
	    (setgroups(0, NULL) < 0 || setgid(h->xrdp_gid) < 0 || setuid(h->xrdp_uid) < 0))
		fail("user xrdp");
	execve(argv[0], argv, environment);
	fail(argv[0]);
}

int launch(struct instance *i, struct daemon *d)
{
	struct host *h = i->host;
	_cleanup_(xfreep) char *out_path = xasprintf("%s/%s.out", i->log, d->name);
	_cleanup_(xfreep) char *ini = xasprintf("%s/xrdp.ini", i->etc);
	char *program = (char *)(d == &i->xrdp ? h->set.xrdp : h->set.sesman);
	char *argv[5] = { program, (char *)"-n" };
	if (i->shared) {
		argv[2] = (char *)"-c";
		argv[3] = ini;
	}
	if (!cgroup_there(i->cgroup) || !cgroup_there(i->daemons))
		start_make_group(i);
	pid_t parent = getpid(), pid = fork_quiet();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		run(i, d, out_path, parent, argv);
	d->pid = pid;
	d->start = proc_start(pid);
	d->since_ms = clock_wall_ms();
	d->watch = watch_new(h, pid, 0, daemon_died, d);
	return 0;
}
