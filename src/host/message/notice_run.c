#include "host/message/notice_run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/cgroup/cgroup.h"
#include "host/kernel/ns.h"
#include "host/kernel/proc.h"
#include "sys/privileges.h"

/* Name services, authority files and programs may be on a file system that does not respond. The program sets an alarm of its own. */
#define RUN_SECONDS 8
#define GROUPS_MAX 1024

struct notice_account {
	const struct passwd *pw;
	gid_t groups[GROUPS_MAX];
	int ngroups;
};

/* Before the namespace of the desktop is entered, because name services load files with root's rights. */
static bool account_find(const struct notice_run *r, struct notice_account *ret)
{
	ret->pw = getpwuid(r->x.uid);
	ret->ngroups = GROUPS_MAX;
	if (!ret->pw || ret->pw->pw_uid != r->x.uid || (!r->is_root && geteuid() != r->x.uid))
		return false;
	/* more groups than the bound: the first ones, which is enough to read the user's files */
	if (getgrouplist(ret->pw->pw_name, ret->pw->pw_gid, ret->groups, &ret->ngroups) < 0)
		ret->ngroups = GROUPS_MAX;
	return !r->is_root || setgroups((size_t)ret->ngroups, ret->groups) == 0;
}

static bool account_become(const struct notice_run *r, const struct notice_account *a)
{
	if (r->is_root && (setgid(a->pw->pw_gid) < 0 || setuid(a->pw->pw_uid) < 0))
		return false;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static bool give_input(struct notice_run *r)
{
	_cleanup_(closep) int fd = memfd_create("message", MFD_CLOEXEC);
	bool ok = fd >= 0 && write(fd, &r->input, sizeof r->input) == (ssize_t)sizeof r->input &&
		  write(fd, r->text, r->input.bytes) == (ssize_t)r->input.bytes && lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, 0) == 0;
	mem_wipe(r->input.cookie, sizeof r->input.cookie);
	return ok;
}

/* The group first: from then on the process ends with the desktop. */
static bool enter_desktop(const struct notice_run *r)
{
	int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (score >= 0 && write(score, "0", 1) < 0)
		close(score); /* not permitted: it inherits the supervisor's score */
	if (r->cgroup && cgroup_attach(r->cgroup, getpid()) < 0)
		return false;
	_cleanup_(closep) int ns = ns_open(r->x.x_pid);
	if (ns < 0 || !proc_alive(r->x.x_pid, r->x.x_start)) /* checked after the descriptor was opened, so that it is of this process */
		return false;
	return !r->is_root || ns_inode(ns) == r->ns_inode || ns_enter(ns) == 0;
}

static void execute(const struct notice_run *r, const struct notice_account *a)
{
	char display[32], home[600];
	char *argv[] = { (char[]){ NOTICE_FILE }, NULL };
	/* DISPLAY: without control groups, the processes of a desktop are found by it. HOME: for the user's cache of fonts */
	char *envp[] = { display, home, (char[]){ "LANG=C.UTF-8" }, (char[]){ "PATH=/usr/bin:/bin" }, NULL };
	snprintf(display, sizeof display, "DISPLAY=:%d", r->x.display);
	snprintf(home, sizeof home, "HOME=%.500s", a->pw->pw_dir);
	fcntl(NOTICE_PROGRAM, F_SETFD, FD_CLOEXEC);
	execveat(NOTICE_PROGRAM, "", argv, envp, AT_EMPTY_PATH);
}

int notice_run(void *arg)
{
	struct notice_run *r = arg;
	static struct notice_account account;
	alarm(RUN_SECONDS);
	if (dup2(1, 2) < 0 || !account_find(r, &account))
		return NOTICE_NO_ACCOUNT;
	int x = xprobe_connect(&r->x, r->input.cookie);
	if (x < 0 || (x != NOTICE_X && dup2(x, NOTICE_X) < 0))
		return NOTICE_NO_COOKIE;
	fcntl(NOTICE_X, F_SETFD, 0);
	if (x != NOTICE_X)
		close(x);
	if (!give_input(r))
		return NOTICE_BAD_INPUT;
	if (!enter_desktop(r))
		return NOTICE_NO_NAMESPACE;
	if (r->is_root)
		privileges_leave_keyring();
	if (!account_become(r, &account))
		return NOTICE_NO_ACCOUNT;
	execute(r, &account);
	return NOTICE_NO_PROGRAM;
}
