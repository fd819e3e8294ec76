/*
 * spawn: starts a process by a plan. Floor F1; forks, without waiting. For a process with one thread.
 *
 * A plan names a program (CHILD_SELF: this program) or a function, and everything that the process gets: arguments, environment, account,
 * descriptors, limits. It inherits nothing else: no other descriptor above 2, no environment, no signal handler.
 */
#ifndef SYS_CHILD_SPAWN_H
#define SYS_CHILD_SPAWN_H

#include <sys/resource.h>
#include <sys/types.h>

#include "lucid/base.h"

#define CHILD_SELF "/proc/self/exe"
#define CHILD_NO_PROGRAM 127 /* exit code: the program is missing, not executable, or lacks a library */
#define CHILD_NOT_SET_UP 125 /* exit code: its environment could not be set up; standard error says why */

enum { CHILD_ARGS_MAX = 31, CHILD_ENV_MAX = 31, CHILD_FDS_MAX = 16, CHILD_KEEP_MAX = 256, CHILD_LIMITS_MAX = 8, CHILD_GROUPS_MAX = 32 };

/* What happens to the child when the process that forked it dies. */
enum child_tie {
	CHILD_OUTLIVES,
	CHILD_TIED_UNTIL_EXEC, /* killed until its program runs, when it can be found by what `set_up` gave it */
	CHILD_TIED,
};

struct child_plan {
	/* a program, or `run` in the forked process, which returns the exit code */
	char *argv[CHILD_ARGS_MAX + 1], *env[CHILD_ENV_MAX + 1]; /* child_plan_arg, child_plan_env */
	size_t nargv, nenv;
	int (*run)(void *run_arg);
	void *run_arg;
	/* Runs in the child, before it drops descriptors and account: namespaces, control group, standard error. Returns 0 or -errno, with
	 * what failed in *ret_what. Must not allocate or lock. */
	int (*set_up)(void *set_up_arg, const char **ret_what);
	void *set_up_arg;
	/* Descriptors of this process, and the number of each in the child (3 or more, all different). */
	struct child_fd {
		int from, to;
	} fds[CHILD_FDS_MAX];
	size_t nfds;
	const int *keep; /* further ones, which keep their number; -1 ends; NULL: none */
	bool keep_stdio; /* otherwise standard input and output are /dev/null; standard error is kept, or what set_up made it */
	bool switch_account; /* to uid, gid and groups; otherwise the account is inherited */
	uid_t uid;
	gid_t gid;
	gid_t groups[CHILD_GROUPS_MAX];
	size_t ngroups;
	struct child_limit {
		int resource;
		struct rlimit limit;
	} limits[CHILD_LIMITS_MAX];
	size_t nlimits;
	const char *directory; /* NULL: inherited */
	mode_t umask;	       /* 0: inherited */
	enum child_tie tie;
};

/* Append copies, which child_plan_done frees. Beyond the bound of the list, spawn refuses the plan. */
void child_plan_arg(struct child_plan *p, const char *arg);
void child_plan_env(struct child_plan *p, const char *fmt, ...) PRINTF(2, 3); /* "NAME=value" */
void child_plan_fd(struct child_plan *p, int from, int to);
void child_plan_limit(struct child_plan *p, int resource, rlim_t value); /* soft and hard */
void child_plan_done(struct child_plan *p);

/* The pid, or -errno (-E2BIG: the plan exceeds a bound). The caller must watch it at once (watch.h) or disown it. */
pid_t spawn(const struct child_plan *p);

/* In a forked child: makes it die with the process that forked it, and at once if that is dead already. */
void child_tie(pid_t parent);

#endif
