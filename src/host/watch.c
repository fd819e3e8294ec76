#include "host/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/fork_quiet.h"

/* Fields of /proc/PID/stat after the command name, which may hold anything, parentheses too. */
static char *stat_of(pid_t pid, char *buf, size_t size, char comm[17])
{
	char path[40];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	ssize_t n = read(fd, buf, size - 1);
	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	char *open_at = strchr(buf, '('), *end = strrchr(buf, ')');
	if (!open_at || !end || end < open_at || end[1] != ' ')
		return NULL;
	if (comm) {
		*end = '\0';
		snprintf(comm, 17, "%.16s", open_at + 1);
	}
	return end + 2;
}

uint64_t proc_start(pid_t pid)
{
	char buf[1024];
	char *p = stat_of(pid, buf, sizeof buf, NULL);
	if (!p || *p == 'Z' || *p == 'X')
		return 0;
	/* p is at field 3; the start time is field 22 */
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return 0;
		p++;
	}
	return strtoull(p, NULL, 10);
}

bool proc_parent(pid_t pid, pid_t *ret_ppid, char comm[17])
{
	char buf[1024];
	char *p = stat_of(pid, buf, sizeof buf, comm);
	if (!p || !p[0] || p[1] != ' ')
		return false;
	*ret_ppid = (pid_t)strtol(p + 2, NULL, 10);
	return true;
}

/* --- watches */

struct watch {
	struct list node;
	pid_t pid;
	int pidfd;
	struct loop_io *io;
	watch_fn fn;
	void *arg;
};

struct watch *watch_of_node(struct list *n)
{
	return CONTAINER_OF(n, struct watch, node);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	list_remove(&w->node);
	loop_io_free(w->io);
	fd_close(&w->pidfd);
	free(w);
}

static void deliver(struct watch *w, bool known, int status)
{
	watch_fn fn = w->fn;
	void *arg = w->arg;
	pid_t pid = w->pid;
	watch_free(w);
	fn(arg, pid, known, status);
}

static void on_pidfd(UNUSED int events, void *arg)
{
	struct watch *w = arg;
	siginfo_t si = { 0 };
	if (waitid(P_PIDFD, (id_t)w->pidfd, &si, WEXITED | WNOHANG) < 0) {
		deliver(w, false, 0); /* not our child, or reaped by somebody who did not tell */
		return;
	}
	if (si.si_pid == 0)
		return;
	deliver(w, true, si.si_code == CLD_EXITED ? (si.si_status & 0xff) << 8 : si.si_status & 0x7f);
}

struct watch *watch_new(struct host *h, pid_t pid, uint64_t start, watch_fn fn, void *arg)
{
	_cleanup_(closep) int fd = pidfd_open(pid, 0);
	if (fd < 0)
		return NULL;
	/* the descriptor holds the process; now its start time says whether it is the one that was meant */
	if (start && proc_start(pid) != start)
		return NULL;
	struct watch *w = XNEW(struct watch);
	w->pid = pid;
	w->pidfd = TAKE_FD(fd);
	w->fn = fn;
	w->arg = arg;
	w->io = loop_io_new(h->loop, w->pidfd, LOOP_READ, on_pidfd, w);
	list_append(&h->watches, &w->node);
	return w;
}

int watch_signal(struct watch *w, int signo)
{
	return pidfd_send_signal(w->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

bool watch_told(struct host *h, pid_t pid, int status)
{
	struct watch *w;
	LIST_FOREACH (w, &h->watches, node)
		if (w->pid == pid) {
			deliver(w, true, status);
			return true;
		}
	return false;
}

/* --- jobs */

struct job {
	struct list node;
	struct host *host;
	struct watch *watch;
	struct loop_timer *deadline;
	struct loop_io *io;
	struct loop_task failed;
	int fd, passed;
	bool late;
	struct strbuf text;
	job_done done;
	void *arg;
};

static void job_free(struct job *j)
{
	list_remove(&j->node);
	watch_free(j->watch);
	loop_timer_free(j->deadline);
	loop_io_free(j->io);
	loop_undefer(&j->failed);
	fd_close(&j->fd);
	fd_close(&j->passed);
	strbuf_done(&j->text);
	free(j);
}

/* Take what is there; false at the end. One descriptor may come along; a second one replaces it. */
static bool job_read(struct job *j)
{
	for (;;) {
		char buf[8192];
		union {
			struct cmsghdr head;
			char space[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec iov = { buf, sizeof buf };
		struct msghdr m = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
		};
		ssize_t n = recvmsg(j->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			fd_close(&j->passed);
			memcpy(&j->passed, CMSG_DATA(c), sizeof(int));
		}
		strbuf_add(&j->text, buf, (size_t)n);
	}
}

static void on_job_io(UNUSED int events, void *arg)
{
	struct job *j = arg;
	if (!job_read(j))
		loop_io_set(j->io, 0); /* its end closed; the exit tells the rest */
}

static void job_finish(struct job *j, int code)
{
	job_done done = j->done;
	void *arg = j->arg;
	int passed = TAKE_FD(j->passed);
	_cleanup_(xfreep) char *text = NULL;
	size_t len = j->text.len;
	text = strbuf_take(&j->text);
	j->host->passed_fd = passed;
	struct host *h = j->host;
	job_free(j);
	done(arg, code, text, len);
	fd_close(&h->passed_fd);
}

static void on_job_exit(void *arg, UNUSED pid_t pid, bool known, int status)
{
	struct job *j = arg;
	j->watch = NULL;
	if (j->fd >= 0)
		job_read(j);
	if (j->late)
		job_finish(j, -ERR_DEADLINE);
	else
		job_finish(j, known && WIFEXITED(status) ? WEXITSTATUS(status) : -ERR_INTERNAL);
}

static void on_job_late(void *arg)
{
	struct job *j = arg;
	j->late = true;
	watch_signal(j->watch, SIGKILL);
}

static void on_job_failed(struct loop_task *t)
{
	job_finish(CONTAINER_OF(t, struct job, failed), -ERR_INTERNAL);
}

void child_clean(int keep)
{
	sigset_t none;
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (keep >= 0 && keep != 3) {
		dup2(keep, 3);
		keep = 3;
	}
	close_range(keep >= 0 ? 4 : 3, ~0U, 0);
	int nul = open("/dev/null", O_RDWR);
	if (nul >= 0) {
		dup2(nul, 0);
		dup2(nul, 1);
		close(nul);
	}
}

void child_tie(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
}

struct job *job_start(struct host *h, job_fn fn, void *in, unsigned deadline_ms, job_done done, void *arg)
{
	struct job *j = XNEW(struct job);
	j->host = h;
	j->fd = j->passed = -1;
	j->done = done;
	j->arg = arg;
	j->text.max = JOB_MAX_OUT;
	list_append(&h->jobs, &j->node);
	loop_task_init(&j->failed, on_job_failed);
	int sv[2] = { -1, -1 };
	pid_t pid = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0)
		pid = fork_quiet();
	if (pid == 0) {
		child_clean(sv[1]);
		_exit(fn(in, 3));
	}
	fd_close(&sv[1]);
	j->fd = sv[0];
	if (pid > 0)
		j->watch = watch_new(h, pid, 0, on_job_exit, j);
	if (!j->watch) {
		loop_defer(h->loop, &j->failed);
		return j;
	}
	j->io = loop_io_new(h->loop, j->fd, LOOP_READ, on_job_io, j);
	j->deadline = loop_timer_new(h->loop, on_job_late, j);
	loop_timer_set(j->deadline, deadline_ms);
	return j;
}

static void on_cancelled_exit(UNUSED void *arg, UNUSED pid_t pid, UNUSED bool known, UNUSED int status)
{
	/* reaped, that is all there is to do */
}

void job_cancel(struct job *j)
{
	if (!j)
		return;
	if (j->watch) {
		watch_signal(j->watch, SIGKILL);
		j->watch->fn = on_cancelled_exit;
		j->watch = NULL; /* stays in the list until the process is gone */
	}
	job_free(j);
}

void jobs_cancel_all(struct host *h)
{
	while (!list_empty(&h->jobs))
		job_cancel(CONTAINER_OF(h->jobs.next, struct job, node));
}

bool job_pass_fd(int out, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = '\n';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(out, &m, MSG_NOSIGNAL) == 1;
}

int job_take_fd(struct host *h)
{
	return TAKE_FD(h->passed_fd);
}
