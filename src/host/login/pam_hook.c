#include "host/login/pam_hook.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/kernel/mounts.h"
#include "host/kernel/proc.h"
#include "host/login/login_quota.h"
#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "host/recording/recording_hold.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/accept.h"
#include "sys/files.h"

#define PEERS_MAX 256
#define PEER_MS (2 * HOOK_WAIT_MS)

/* A connection from the hook of one login. */
struct peer {
	struct list node;
	struct host *host;
	int fd;
	pid_t pid;
	struct loop_io *io;
	struct loop_timer *timer;
	bool waits; /* for mounts that its namespace must have before the desktop starts */
};

static void peer_free(struct peer *p)
{
	list_remove(&p->node);
	p->host->observer->hook_peers_n--;
	loop_io_free(p->io);
	loop_timer_free(p->timer);
	fd_close(&p->fd);
	free(p);
}

struct hook_message {
	char type;
	const char *user, *tty, *detail;
};

static bool packet_parse(char *packet, size_t len, struct hook_message *ret)
{
	const char **part[] = { &ret->user, &ret->tty, &ret->detail };
	char *p = packet + 1, *end = packet + len;
	if (len < 2 || end[-1] != 0)
		return false;
	ret->type = packet[0];
	ret->detail = "";
	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		if (p >= end)
			return i == 2; /* the detail is optional */
		*part[i] = p;
		p += strlen(p) + 1;
	}
	return p == end;
}

/* The leader is the parent of the program that PAM runs; its group or namespace identifies the instance. */
static struct instance *instance_of_hook(struct host *h, pid_t pid, struct proc_stat *ret_leader)
{
	struct proc_stat self;
	if (!proc_stat(pid, &self) || !proc_stat(self.ppid, ret_leader))
		return NULL;
	struct instance *i = instance_of_pid(h, ret_leader->pid);
	return i && i->observed ? i : NULL;
}

static void desktop_opens(struct host *h, const struct hook_message *m, pid_t pid)
{
	struct proc_stat leader;
	struct instance *i = instance_of_hook(h, pid, &leader);
	int64_t display;
	if (!i || m->tty[0] != ':' || !str_int(m->tty + 1, 1, 65535, &display) ||
	    (!i->shared && instance_of_display(h, (int)display) != i)) {
		log_warn("host", "process %d announced a login on a display, but belongs to no running instance", (int)pid);
		return;
	}
	struct desktop *d = desktop_find(i, (int)display);
	bool fresh = !d || d->leader != leader.pid;
	if (d && d->leader != leader.pid) {
		/* processes of an earlier desktop: its leader has ended, otherwise sesman would not reuse the display */
		size_t forced = cgroup_kill(d->cgroup);
		desktop_gone(d, "replaced", forced, forced);
		d = NULL;
	}
	if (!d)
		d = desktop_new(i, (int)display);
	if (fresh)
		recording_hold_begin(d);
	d->leader = leader.pid;
	d->leader_start = leader.start_ticks;
	/* a name that a document cannot hold is looked up by uid later */
	if (!account_name_ok(m->user) || !str_copy(d->user, sizeof d->user, m->user))
		d->user[0] = 0;
	int r = d->cgroup ? cgroup_attach(d->cgroup, leader.pid) : 0;
	if (r < 0)
		log_warn("host", "desktop :%d of server %s could not be moved to its control group: %s", (int)display, i->id,
			 strerror(-r));
	if (d->user[0])
		desktop_started(d);
	if (d->user[0] && fresh)
		login_quota_started(d);
}

static void desktop_closes(struct host *h, const struct hook_message *m, pid_t pid)
{
	struct proc_stat leader;
	struct instance *i = instance_of_hook(h, pid, &leader);
	int64_t display;
	struct desktop *d = i && m->tty[0] == ':' && str_int(m->tty + 1, 1, 65535, &display) ? desktop_find(i, (int)display) : NULL;
	if (d && d->leader == leader.pid && d->leader_start == leader.start_ticks)
		desktop_report(d, m->detail);
	loop_timer_set(h->observer->sweep, 100); /* it is about to end: sweep soon */
}

static bool login_moves(struct host *h, const struct hook_message *m, pid_t pid)
{
	struct proc_stat sesman;
	struct instance *i = instance_of_hook(h, pid, &sesman);
	if (!i)
		return true; /* the hook client has decided already */
	if (m->type == HOOK_BEGIN)
		return login_begins(i, m->user, m->detail);
	if (m->type == HOOK_ADMIT || m->type == HOOK_PASSED)
		return login_passes(i, m->user, m->type == HOOK_ADMIT);
	login_allowed(i, m->user);
	return true;
}

static void peer_answer(struct peer *p, char answer)
{
	if (send(p->fd, &answer, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("host", "the login process did not wait for the hook's answer");
	peer_free(p);
}

void hook_release(struct host *h)
{
	struct peer *p, *next;
	LIST_FOREACH_SAFE (p, next, &h->observer->hook_peers, node)
		if (p->waits)
			peer_answer(p, HOOK_DONE);
}

static void on_packet(UNUSED int events, void *arg)
{
	struct peer *p = arg;
	char packet[HOOK_MAX], answer = HOOK_DONE;
	struct hook_message m;
	ssize_t n = recv(p->fd, packet, sizeof packet, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && packet_parse(packet, (size_t)n, &m)) {
		if (m.type == HOOK_OPEN)
			desktop_opens(p->host, &m, p->pid);
		else if (m.type == HOOK_BEGIN || m.type == HOOK_ADMIT || m.type == HOOK_PASSED || m.type == HOOK_ALLOWED)
			answer = login_moves(p->host, &m, p->pid) ? HOOK_DONE : HOOK_REFUSED;
		else if (m.type == HOOK_CLOSE)
			desktop_closes(p->host, &m, p->pid);
		p->waits = m.type == HOOK_OPEN && mounts_busy(p->host->mounts);
		if (p->waits)
			loop_io_set(p->io, 0);
		else
			peer_answer(p, answer);
		return;
	}
	peer_free(p);
}

static void on_peer_late(void *arg)
{
	peer_free(arg);
}

static void on_accept(int consume_fd, void *arg)
{
	struct host *h = arg;
	struct ucred who;
	socklen_t len = sizeof who;
	_cleanup_(closep) int fd = consume_fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.uid != geteuid() ||
	    h->observer->hook_peers_n >= PEERS_MAX)
		return;
	struct peer *p = XNEW(struct peer);
	p->host = h;
	p->pid = who.pid;
	p->fd = TAKE_FD(fd);
	p->io = loop_io_new(h->loop, p->fd, LOOP_READ, on_packet, p);
	p->timer = loop_timer_new(h->loop, on_peer_late, p);
	loop_timer_set(p->timer, PEER_MS);
	list_append(&h->observer->hook_peers, &p->node);
	h->observer->hook_peers_n++;
}

static void hook_rebind(struct host *h)
{
	struct observer *s = h->observer;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (!h->hook_socket || !str_copy(a.sun_path, sizeof a.sun_path, h->hook_socket)) {
		if (!s->hook_failed)
			log_warn("host", "the path of RUNTIME_DIR is too long for a socket: logins are detected up to a second late");
		s->hook_failed = true;
		return;
	}
	int made = dir_make_parents(h->hook_socket); /* accessible to root only */
	if (made < 0)
		log_debug("host", "%s: cannot create its directory: %s", h->hook_socket, strerror(-made));
	s->hook_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(a.sun_path);
	mode_t old = umask(0177);
	int r = s->hook_fd < 0 ? -1 : bind(s->hook_fd, (struct sockaddr *)&a, sizeof a);
	umask(old);
	if (r < 0 || listen(s->hook_fd, 64) < 0) {
		if (!s->hook_failed) /* once, not at each attempt */
			log_warn("host", "%s cannot be bound (%s): logins are detected up to a second late", a.sun_path, strerror(errno));
		s->hook_failed = true;
		fd_close(&s->hook_fd);
		return;
	}
	s->hook_failed = false;
	s->hook_accepter = accepter_new(h->loop, s->hook_fd, "the hook socket", on_accept, h);
}

static void hook_unbind(struct observer *s)
{
	accepter_free(TAKE_PTR(s->hook_accepter));
	fd_close(&s->hook_fd);
}

void hook_open(struct host *h)
{
	list_init(&h->observer->hook_peers);
	h->observer->hook_fd = -1;
	hook_rebind(h);
}

/* Only if the path does not exist: the socket of another supervisor that took it over is kept. */
void hook_look(struct host *h)
{
	struct observer *s = h->observer;
	struct stat st;
	if (!h->hook_socket || lstat(h->hook_socket, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
		return;
	if (s->hook_accepter)
		log_warn("host", "%s was removed; creating it again", h->hook_socket);
	hook_unbind(s);
	hook_rebind(h);
}

/* The path stays: the next supervisor takes it over, and a login whose hook cannot connect continues. */
void hook_close(struct host *h)
{
	struct observer *s = h->observer;
	struct peer *p, *next;
	LIST_FOREACH_SAFE (p, next, &s->hook_peers, node)
		peer_free(p);
	hook_unbind(s);
}
