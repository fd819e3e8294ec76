#include "host/message/notice.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/core.h"
#include "host/message/notice_run.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/child.h"
#include "sys/files.h"

#define SHOWN_MS 12000 /* for name service, X server and fonts together; the program's own deadlines are shorter */
#define GRACE_MS 15000 /* after its time it is killed, because its user may have stopped it */
#define LINE_MAX_BYTES 32
#define CPU_SECONDS 30
#define FILES_MAX 256

struct notice {
	struct notice_request r;
	char *text;
	struct notice_run run;
	struct child *child;
	struct child_desc desc;
	struct loop_io *io;
	int fd, childs; /* both ends of the report's socket */
	char line[LINE_MAX_BYTES];
	size_t line_len;
	bool shown, answered;
};

bool notice_is_shown(const struct notice *n)
{
	return n->shown;
}

static void notice_free(struct notice *n)
{
	loop_io_free(n->io);
	fd_close(&n->fd);
	fd_close(&n->childs);
	free(n->text);
	free(n);
}

static void notice_answer(struct notice *n, int err, const char *message, int missing)
{
	if (n->answered)
		return;
	n->answered = true;
	n->r.shown(n->r.arg, err, message, missing);
}

/* --- why it was not shown */

static const struct reason {
	int code, err;
	const char *text;
} reasons[] = {
	{ NOTICE_X_REFUSED, ERR_UNAVAILABLE, "its X server did not accept the window; read the server's logs, or end the desktop" },
	{ NOTICE_X_SILENT, ERR_DEADLINE, "its X server does not answer; it is stopped or overloaded: check it on the host, or end the desktop" },
	{ NOTICE_NO_FONT, ERR_UNAVAILABLE, "no font of the host has the characters of the text; install fonts, for example fonts-noto-core and fonts-noto-cjk" },
	{ NOTICE_NO_COOKIE, ERR_UNAVAILABLE, "its X server cannot be reached as its user; the authority file is missing, or the desktop has just ended" },
	{ NOTICE_NO_NAMESPACE, ERR_UNAVAILABLE, "its namespace or control group cannot be entered; the desktop has just ended" },
	{ NOTICE_NO_ACCOUNT, ERR_UNAVAILABLE, "its account does not exist, or this program may not act as it; run the program as root" },
	{ NOTICE_NO_PROGRAM, ERR_UNAVAILABLE, NOTICE_FILE " cannot be executed; install it again" },
	/* of the dynamic linker */
	{ CHILD_NO_PROGRAM, ERR_UNAVAILABLE, NOTICE_FILE " lacks a library; install libpangocairo-1.0-0 and libxcb-randr0" },
};

static const struct reason unknown = { 0, ERR_INTERNAL, "the process ended before; the log of the host has the cause" };

static const struct reason *reason_of(const struct child_end *e)
{
	static const struct reason killed = { 0, ERR_CONFLICT, "its process was ended, as happens when the desktop ends" };
	int signo = e->obituary.known ? e->obituary.signal : 0, code = e->obituary.known ? e->obituary.code : -1;
	if (e->cause == CHILD_LATE || signo == SIGALRM)
		code = NOTICE_X_SILENT;
	else if (signo == SIGTERM || signo == SIGKILL)
		return &killed;
	for (size_t k = 0; k < ARRAY_LEN(reasons); k++)
		if (reasons[k].code == code)
			return &reasons[k];
	return &unknown;
}

static void notice_failed(struct notice *n, const struct child_end *e)
{
	const struct reason *why = reason_of(e);
	_cleanup_(xfreep) char *message = xasprintf("the message was not shown on display :%d: %s", n->r.x.display, why->text);
	if (why == &unknown)
		log_warn("host", "a message was not shown on display :%d: its process ended with exit code %d, signal %d, error %d", n->r.x.display,
			 e->obituary.code, e->obituary.signal, abs(e->err));
	notice_answer(n, why->err, message, 0);
}

/* --- its report */

static void notice_line(struct notice *n)
{
	int missing;
	char end;
	if (n->shown || sscanf(n->line, "shown %d%c", &missing, &end) != 2 || end != '\n' || missing < 0 || missing > NOTICE_CHARS_MAX)
		return;
	n->shown = true;
	child_ready(n->child);
	child_expect_end(n->child, n->r.seconds * 1000 + GRACE_MS);
	notice_answer(n, 0, NULL, missing);
}

/* The process belongs to the user, so only a short line of this form counts. False: nothing more is read. */
static bool notice_read(struct notice *n)
{
	ssize_t got = recv(n->fd, n->line + n->line_len, sizeof n->line - 1 - n->line_len, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	n->line_len += (size_t)got;
	n->line[n->line_len] = 0;
	bool whole = memchr(n->line, '\n', n->line_len) != NULL;
	if (whole)
		notice_line(n);
	return got > 0 && !whole && n->line_len < sizeof n->line - 1;
}

static void on_notice_io(UNUSED int events, void *arg)
{
	struct notice *n = arg;
	if (!notice_read(n))
		loop_io_set(n->io, 0);
}

/* --- as a child */

static int notice_plan(void *arg, struct child_plan *p)
{
	struct notice *n = arg;
	int ends[2];
	_cleanup_(xfreep) char *path = program_file(NOTICE_FILE);
	int program = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (program < 0)
		return -ENOENT;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		close(program);
		return -errno;
	}
	n->fd = ends[0];
	n->childs = ends[1];
	child_plan_fd(p, ends[1], NOTICE_REPORT);
	child_plan_fd(p, program, NOTICE_PROGRAM);
	n->run.program = program;
	child_plan_limit(p, RLIMIT_CORE, 0);
	child_plan_limit(p, RLIMIT_CPU, CPU_SECONDS);
	child_plan_limit(p, RLIMIT_NOFILE, FILES_MAX);
	p->run = notice_run;
	p->run_arg = &n->run;
	p->directory = "/";
	p->umask = 077;
	return 0;
}

static enum child_verdict notice_is_over(UNUSED void *arg, UNUSED const struct child_end *e)
{
	return CHILD_NO_MORE;
}

static void on_notice_state(void *arg, enum child_state now, const struct child_end *e)
{
	struct notice *n = arg;
	if (now != CHILD_GONE)
		return;
	if (n->fd >= 0)
		notice_read(n);
	struct child_end not_born = *e;
	if (e->cause == CHILD_NOT_BORN && abs(e->err) == ENOENT) { /* the program is missing */
		not_born.obituary.known = true;
		not_born.obituary.code = NOTICE_NO_PROGRAM;
	}
	if (!n->answered)
		notice_failed(n, &not_born);
	n->r.ended(n->r.arg);
	child_abandon(n->child);
	notice_free(n);
}

struct notice *notice_start(const struct notice_request *r)
{
	struct notice *n = XNEW(struct notice);
	n->r = *r;
	n->text = xstrdup(r->text);
	n->fd = n->childs = -1;
	n->run = (struct notice_run){
		.x = r->x, .cgroup = r->cgroup, .is_root = r->host->is_root, .ns_inode = r->host->ns_inode, .text = n->text,
		.input = { NOTICE_MAGIC, r->level, r->seconds, (uint32_t)strlen(r->text), { 0 } },
		.program = -1,
	};
	n->desc = (struct child_desc){
		.name = "message", .plan = notice_plan, .verdict = notice_is_over, .on_state = on_notice_state,
		.readiness = CHILD_READY_TOLD, .start_ms = SHOWN_MS
	};
	n->child = child_new(r->host->children, &n->desc, n);
	child_start(n->child);
	n->run.cgroup = NULL;
	fd_close(&n->childs);
	fd_close(&n->run.program);
	if (child_pid(n->child))
		n->io = loop_io_new(r->host->loop, n->fd, LOOP_READ, on_notice_io, n);
	return n;
}

void notice_close(struct notice *n)
{
	notice_answer(n, ERR_CONFLICT, "the desktop ended before the message was shown", 0);
	child_abandon(n->child);
	notice_free(n);
}

void notice_leave(struct notice *n)
{
	if (!n->shown) {
		notice_close(n);
		return;
	}
	child_free(n->child);
	notice_free(n);
}
