#include "host/hook.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/proc.h"
#include "host/see_state.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define PEERS_MAX 256
#define PEER_MS (2 * HOOK_WAIT_MS)

/* One login that talks to us. */
struct peer {
	struct list node;
	struct host *host;
	int fd;
	pid_t pid;
	struct loop_io *io;
	struct loop_timer *timer;
};

static void peer_free(struct peer *p)
{
	list_remove(&p->node);
	p->host->see->hook_peers_n--;
	loop_io_free(p->io);
	loop_timer_free(p->timer);
	fd_close(&p->fd);
	free(p);
}

struct hook_message {
	char type;
	const char *user, *tty;
};

static bool parse(char *packet, size_t len, struct hook_message *ret)
{
	const char **part[] = { &ret->user, &ret->tty };
	char *p = packet + 1, *end = packet + len;
	if (len < 2 || end[-1] != 0)
		return false;
	ret->type = packet[0];
	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		if (p >= end)
			return false;
		*part[i] = p;
		p += strlen(p) + 1;
	}
	return p == end;
}

/* The leader is the parent of the program that PAM ran; the instance is the one whose group or namespace it is in. */
static struct instance *instance_of_hook(struct host *h, pid_t pid, struct proc_stat *ret_leader)
{
	struct proc_stat self;
	if (!proc_stat(pid, &self) || !proc_stat(self.ppid, ret_leader))
		return NULL;
	struct instance *i = instance_of_pid(h, ret_leader->pid);
	return i && i->see ? i : NULL;
}

static void desktop_opens(struct host *h, const struct hook_message *m, pid_t pid)
{
	struct proc_stat leader;
	struct instance *i = instance_of_hook(h, pid, &leader);
	int64_t display;
	if (!i || m->tty[0] != ':' || !str_int(m->tty + 1, 1, 65535, &display) ||
	    (!i->shared && instance_of_display(h, (int)display) != i)) {
		log_warn("host", "process %d announced a login on a display, and is of no instance that runs here", (int)pid);
		return;
	}
	struct desktop *d = desktop_find(i, (int)display);
	if (d && d->leader != leader.pid) {
		/* what an earlier desktop left on this display: its leader is gone, else sesman had not given it out again */
		size_t forced = cgroup_kill(d->cgroup);
		desktop_gone(d, "replaced", forced, forced);
		d = NULL;
	}
	if (!d)
		d = desktop_new(i, (int)display);
	d->leader = leader.pid;
	d->leader_start = leader.start_ticks;
	/* a name that no document can hold: it is asked for by number later */
	if (!str_copy(d->user, sizeof d->user, m->user) || str_has_control(d->user, false) ||
	    !str_utf8(d->user, strlen(d->user), NULL))
		d->user[0] = 0;
	int r = d->cgroup ? cgroup_attach(d->cgroup, leader.pid) : 0;
	if (r < 0)
		log_warn("host", "the desktop :%d of server %s could not be put into its group: %s", (int)display, i->id,
			 strerror(-r));
	if (d->user[0])
		desktop_started(d);
}

static void on_packet(UNUSED int events, void *arg)
{
	struct peer *p = arg;
	char packet[HOOK_MAX], answer = HOOK_DONE;
	struct hook_message m;
	ssize_t n = recv(p->fd, packet, sizeof packet, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && parse(packet, (size_t)n, &m)) {
		if (m.type == HOOK_OPEN)
			desktop_opens(p->host, &m, p->pid);
		else if (m.type == HOOK_CLOSE) /* it ends by itself: look soon */
			loop_timer_set(p->host->see->sweep, 100);
		if (send(p->fd, &answer, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_debug("host", "a login did not wait for its answer");
	}
	peer_free(p);
}

static void on_peer_late(void *arg)
{
	peer_free(arg);
}

static void on_accept(UNUSED int events, void *arg)
{
	struct host *h = arg;
	struct ucred who;
	socklen_t len = sizeof who;
	_cleanup_(closep) int fd = accept4(h->see->hook_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.uid != geteuid() ||
	    h->see->hook_peers_n >= PEERS_MAX)
		return;
	struct peer *p = XNEW(struct peer);
	p->host = h;
	p->pid = who.pid;
	p->fd = TAKE_FD(fd);
	p->io = loop_io_new(h->loop, p->fd, LOOP_READ, on_packet, p);
	p->timer = loop_timer_new(h->loop, on_peer_late, p);
	loop_timer_set(p->timer, PEER_MS);
	list_append(&h->see->hook_peers, &p->node);
	h->see->hook_peers_n++;
}

/* The directory that the socket stands in is root's alone; it may not be there yet. */
static void make_parent(const char *path)
{
	_cleanup_(xfreep) char *dir = xstrdup(path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			log_debug("host", "%s: %s", dir, strerror(errno));
		*slash = '/';
	}
}

void hook_open(struct host *h)
{
	struct see *s = h->see;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	list_init(&s->hook_peers);
	s->hook_fd = -1;
	if (!h->hook_socket || !str_copy(a.sun_path, sizeof a.sun_path, h->hook_socket)) {
		log_warn("host", "the path of RUNTIME_DIR is too long for a socket: logins are noticed a second late");
		return;
	}
	make_parent(h->hook_socket);
	s->hook_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(a.sun_path);
	mode_t old = umask(0177);
	int r = s->hook_fd < 0 ? -1 : bind(s->hook_fd, (struct sockaddr *)&a, sizeof a);
	umask(old);
	if (r < 0 || listen(s->hook_fd, 64) < 0) {
		log_warn("host", "%s cannot be bound (%s): logins are noticed a second late", a.sun_path, strerror(errno));
		fd_close(&s->hook_fd);
		return;
	}
	s->hook_io = loop_io_new(h->loop, s->hook_fd, LOOP_READ, on_accept, h);
}

/* The path stays: a successor takes it over, and a login that finds nobody behind it goes on. */
void hook_close(struct host *h)
{
	struct see *s = h->see;
	struct peer *p, *next;
	LIST_FOREACH_SAFE (p, next, &s->hook_peers, node)
		peer_free(p);
	loop_io_free(TAKE_PTR(s->hook_io));
	fd_close(&s->hook_fd);
}
