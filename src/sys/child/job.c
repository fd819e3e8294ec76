#include "sys/child/job.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lucid/errs.h"
#include "lucid/str.h"
#include "sys/child/child.h"
#include "sys/child/children.h"

#define JOB_OUT 3 /* number of the pipe's descriptor in the child */

struct job {
	struct list node;
	struct children *all;
	struct child *child;
	struct child_desc desc;
	struct loop_io *io;
	job_fn fn;
	void *in; /* needed until the fork */
	int fd, childs, passed; /* both ends of the answer's socket; the descriptor that was passed */
	struct strbuf text;
	job_done done;
	void *arg;
};

size_t jobs_running(const struct children *cs)
{
	return cs->jobs_n;
}

static void job_free(struct job *j)
{
	list_remove(&j->node);
	j->all->jobs_n--;
	child_abandon(j->child);
	loop_io_free(j->io);
	fd_close(&j->fd);
	fd_close(&j->passed);
	strbuf_done(&j->text);
	free(j);
}

/* Reads what is available; false at the end. One descriptor may be passed; a second one replaces it. */
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
		loop_io_set(j->io, 0); /* its end is closed; the exit follows */
}

static void job_finish(struct job *j, int code)
{
	job_done done = j->done;
	void *arg = j->arg;
	struct children *cs = j->all;
	size_t len = j->text.len;
	if (j->text.overflow && code == 0)
		code = -ERR_TOO_LARGE; /* a truncated answer is invalid */
	_cleanup_(xfreep) char *text = strbuf_take(&j->text);
	cs->passed_fd = TAKE_FD(j->passed);
	job_free(j);
	done(arg, code, text, len);
	fd_close(&cs->passed_fd);
}

/* --- as a child */

static int job_run(void *arg)
{
	struct job *j = arg; /* in the child's copy of the memory */
	return j->fn(j->in, JOB_OUT);
}

static int job_plan(void *arg, struct child_plan *p)
{
	struct job *j = arg;
	int ends[2];
	if (j->all->jobs_n > JOBS_MAX)
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	j->fd = ends[0];
	j->childs = ends[1];
	p->run = job_run;
	p->run_arg = j;
	child_plan_fd(p, ends[1], JOB_OUT);
	return 0;
}

static enum child_verdict job_is_over(UNUSED void *arg, UNUSED const struct child_end *e)
{
	return CHILD_NO_MORE;
}

static void on_job_state(void *arg, enum child_state now, const struct child_end *e)
{
	struct job *j = arg;
	if (now != CHILD_GONE)
		return;
	if (j->fd >= 0)
		job_read(j);
	if (e->cause == CHILD_LATE)
		job_finish(j, -ERR_DEADLINE);
	else
		job_finish(j, e->obituary.known && e->obituary.code >= 0 ? e->obituary.code : -ERR_INTERNAL);
}

struct job *job_start(struct children *cs, job_fn fn, void *in, unsigned deadline_ms, job_done done, void *arg)
{
	struct job *j = XNEW(struct job);
	j->all = cs;
	j->fn = fn;
	j->in = in;
	j->fd = j->childs = j->passed = -1;
	j->done = done;
	j->arg = arg;
	j->text.max = JOB_MAX_OUT;
	list_append(&cs->jobs, &j->node);
	cs->jobs_n++;
	j->desc = (struct child_desc){
		.name = "job", .plan = job_plan, .verdict = job_is_over, .on_state = on_job_state, .readiness = CHILD_READY_TOLD, .start_ms = deadline_ms
	};
	j->child = child_new(cs, &j->desc, j);
	child_start(j->child);
	fd_close(&j->childs);
	if (child_pid(j->child))
		j->io = loop_io_new(cs->loop, j->fd, LOOP_READ, on_job_io, j);
	return j;
}

void job_cancel(struct job *j)
{
	if (j)
		job_free(j);
}

void jobs_cancel_all(struct children *cs)
{
	while (!list_empty(&cs->jobs))
		job_cancel(CONTAINER_OF(cs->jobs.next, struct job, node));
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

int job_take_fd(struct children *cs)
{
	return TAKE_FD(cs->passed_fd);
}
