#include "host/recording/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/core.h"
#include "host/recording/recorder_account.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/privileges.h"

#define START_MS 15000 /* until it records: directory, recovery, X server, first picture */
#define TIMEOUT_S 30
#define STOP_MS 5000 /* to compress, write and sync what it holds */
#define EOF_MS 3000  /* from the end of its socket to its exit */
#define BACK_OFF_MS 1000
#define BACK_OFF_MOST_MS 30000
#define HEALTHY_MS 60000
#define FILES_MAX 64
#define PACKETS_AT_ONCE 32 /* of one turn of the loop */
#define OOM_SCORE "500"	   /* it is ended before what people work with */

struct recorder {
	struct host *host;
	struct recorder_user user;
	void *arg;
	struct child *child;
	struct child_desc desc;
	struct loop_io *io;
	int fd, childs, program; /* both ends of the control socket; the program, until the fork */
};

static const char stop_packet[] = "{\"stop\":{}}";

/* --- in the child */

static int recorder_set_up(UNUSED void *arg, UNUSED const char **ret_what)
{
	_cleanup_(closep) int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (score >= 0)
		(void)!write(score, OOM_SCORE, strlen(OOM_SCORE)); /* if it is not permitted, it inherits the supervisor's score */
	privileges_leave_keyring();
	return 0;
}

static int recorder_run(UNUSED void *arg)
{
	char *argv[] = { (char[]){ RECORDER_FILE }, NULL }, *envp[] = { NULL };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || fcntl(RECORDER_PROGRAM, F_SETFD, FD_CLOEXEC) < 0)
		return CHILD_NOT_SET_UP;
	execveat(RECORDER_PROGRAM, "", argv, envp, AT_EMPTY_PATH);
	return CHILD_NO_PROGRAM;
}

/* --- packets */

static void recorder_fault(struct recorder *r, const char *what)
{
	log_error("host", "the recorder (pid %d) %s; killing it", (int)child_pid(r->child), what);
	loop_io_set(r->io, 0);
	child_signal(r->child, SIGKILL);
}

static bool packet_is_known(const char *word)
{
	static const char *const words[] = { "recording", "figures", "chunk", "lost", "full", "failed", "ended" };
	for (size_t n = 0; n < ARRAY_LEN(words); n++)
		if (str_eq(words[n], word))
			return true;
	return false;
}

static bool packet_take(struct recorder *r, const char *text, size_t len)
{
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(text, len, NULL, 0);
	void *member = json_object_size(doc) == 1 ? json_object_iter(doc) : NULL;
	const char *word = member ? json_object_iter_key(member) : "";
	const json_t *value = member ? json_object_iter_value(member) : NULL;
	if (!packet_is_known(word) || !json_is_object(value))
		return false;
	child_beat(r->child);
	r->user.said(r->arg, word, value);
	return true;
}

enum packet { PACKET_TAKEN, PACKET_NONE, PACKET_END, PACKET_FAULT };

/* Takes the next packet. A descriptor that comes with it is not received, because the message has no room for it: the kernel closes it. */
static enum packet packet_next(struct recorder *r)
{
	static char buf[RECORDER_PACKET_MAX + 1];
	struct iovec iov = { buf, sizeof buf };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;
	do
		n = recvmsg(r->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? PACKET_NONE : PACKET_END;
	if (n == 0)
		return PACKET_END;
	if (n > RECORDER_PACKET_MAX || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return PACKET_FAULT;
	return packet_take(r, buf, (size_t)n) ? PACKET_TAKEN : PACKET_FAULT;
}

static void on_recorder_io(UNUSED int events, void *arg)
{
	struct recorder *r = arg;
	for (int n = 0; n < PACKETS_AT_ONCE; n++) {
		enum packet p = packet_next(r);
		if (p == PACKET_NONE)
			return;
		if (p == PACKET_TAKEN)
			continue;
		if (p == PACKET_FAULT) {
			recorder_fault(r, "sent a packet that is not one of the protocol");
			return;
		}
		loop_io_set(r->io, 0); /* its end is closed; the exit follows */
		child_expect_end(r->child, EOF_MS);
		return;
	}
}

void recorder_send(struct recorder *r, const char *text, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (r->fd < 0)
		return;
	if (nfds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	if (sendmsg(r->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		recorder_fault(r, "does not read from its control socket");
}

/* --- as a child */

static void recorder_close(struct recorder *r)
{
	loop_io_free(TAKE_PTR(r->io));
	fd_close(&r->fd);
	fd_close(&r->childs);
	fd_close(&r->program);
}

static int recorder_plan(void *arg, struct child_plan *p)
{
	struct recorder *r = arg;
	int ends[2];
	recorder_close(r);
	const char *path = r->host->set.recorder;
	r->program = *path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (r->program < 0)
		return -ENOENT;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r->fd = ends[0];
	r->childs = ends[1];
	child_plan_fd(p, ends[1], RECORDER_CONTROL);
	child_plan_fd(p, r->program, RECORDER_PROGRAM);
	child_plan_limit(p, RLIMIT_CORE, 0);
	child_plan_limit(p, RLIMIT_NOFILE, FILES_MAX);
	p->run = recorder_run;
	p->set_up = recorder_set_up;
	p->directory = "/";
	p->umask = 077;
	if (r->host->is_root) {
		struct recorder_account a = recorder_account();
		p->switch_account = true;
		p->uid = a.uid;
		p->gid = a.gid;
	}
	return 0;
}

static enum child_verdict recorder_verdict(void *arg, const struct child_end *e)
{
	const struct recorder *r = arg;
	return r->user.verdict(r->arg, e);
}

static void recorder_over(struct recorder *r, const struct child_end *e, bool again)
{
	static const struct child_end none;
	while (r->fd >= 0 && packet_next(r) == PACKET_TAKEN)
		; /* what it sent before it ended */
	recorder_close(r);
	r->user.ended(r->arg, e ? e : &none, again); /* without an end: it was waiting to be started again */
}

static void on_recorder_state(void *arg, enum child_state now, const struct child_end *e)
{
	struct recorder *r = arg;
	switch (now) {
	case CHILD_STARTING:
		fd_close(&r->childs);
		fd_close(&r->program);
		r->io = loop_io_new(r->host->loop, r->fd, LOOP_READ, on_recorder_io, r);
		r->user.begun(r->arg);
		return;
	case CHILD_BROKEN:
		log_warn("host", "the recorder (pid %d) gave no sign of life; killing it", (int)child_pid(r->child));
		return;
	case CHILD_BACKING_OFF:
		recorder_over(r, e, true);
		return;
	case CHILD_GONE:
	case CHILD_GAVE_UP:
		recorder_over(r, e, false);
		return;
	default:
		return;
	}
}

static void recorder_ask_to_stop(void *arg)
{
	struct recorder *r = arg;
	/* not recorder_send: a process that does not read is killed when STOP_MS is over */
	if (r->fd >= 0)
		(void)!send(r->fd, stop_packet, strlen(stop_packet), MSG_DONTWAIT | MSG_NOSIGNAL);
}

struct recorder *recorder_new(struct host *h, const struct recorder_user *user, void *arg)
{
	struct recorder *r = XNEW(struct recorder);
	int timeout_s = h->set.recording.timeout_s;
	*r = (struct recorder){ .host = h, .user = *user, .arg = arg, .fd = -1, .childs = -1, .program = -1 };
	r->desc = (struct child_desc){
		.name = "recorder", .plan = recorder_plan, .verdict = recorder_verdict, .on_state = on_recorder_state,
		.readiness = CHILD_READY_TOLD, .start_ms = START_MS, .beat_ms = (unsigned)(timeout_s ? timeout_s : TIMEOUT_S) * 1000,
		.stop = recorder_ask_to_stop, .stop_ms = STOP_MS, .healthy_ms = HEALTHY_MS, .free_failures = 1, .back_off_ms = BACK_OFF_MS,
		.back_off_most_ms = BACK_OFF_MOST_MS,
	};
	r->child = child_new(h->children, &r->desc, r);
	return r;
}

void recorder_begin(struct recorder *r)
{
	child_start(r->child);
}

void recorder_ready(struct recorder *r)
{
	child_ready(r->child);
}

void recorder_stop(struct recorder *r)
{
	child_stop(r->child);
}

void recorder_kill(struct recorder *r)
{
	child_kill(r->child);
}

void recorder_replace(struct recorder *r)
{
	child_signal(r->child, SIGKILL);
}

pid_t recorder_pid(const struct recorder *r)
{
	return child_pid(r->child);
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	recorder_close(r);
	child_free(r->child);
	free(r);
}
