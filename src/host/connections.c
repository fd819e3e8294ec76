#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/proc.h"
#include "host/see_state.h"
#include "host/sock_diag.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define STATE_CLOSE_WAIT 8
/* A child that has not noticed for this long that its client has closed is cut. */
#define CLOSING_MS 20000
/* How often the kernel is asked for its connections when nothing has changed: with some, and with none. */
#define COUNT_MS 4500
#define IDLE_MS 20000
#define PIDS_MAX 1024
#define UNIX_MAX 16384
/* A cut: TERM, then KILL, then it is said that it did not go. */
#define CUT_STEP_MS 20
#define CUT_KILL_MS 500
#define CUT_GIVE_UP_MS 3000

struct cut {
	struct list node; /* connection->cuts */
	struct connection *connection;
	struct loop_timer *timer;
	int64_t began_ms;
	host_done done;
	void *arg;
};

json_t *connection_doc(const struct connection *c)
{
	json_t *doc = json_object();
	doc_set_str(doc, "id", c->id);
	doc_set_str(doc, "server_id", c->instance->id);
	doc_set_str(doc, "client_address", c->peer);
	doc_set_int(doc, "client_port", c->peer_port);
	doc_set_str(doc, "username", c->user[0] ? c->user : NULL);
	doc_set(doc, "display", c->display ? json_integer(c->display) : NULL);
	doc_set_int(doc, "pid", c->pid);
	doc_set_int(doc, "bytes_in", (int64_t)c->bytes_in);
	doc_set_int(doc, "bytes_out", (int64_t)c->bytes_out);
	doc_set_time(doc, "started_at", c->started_ms);
	return doc;
}

struct connection *connection_of_display(struct instance *i, int display)
{
	struct connection *c, *newest = NULL;
	LIST_FOREACH (c, &i->see->connections, node)
		if (c->display == display && !c->closing_ms && (!newest || c->started_ms >= newest->started_ms))
			newest = c;
	return newest;
}

static void cut_answer(struct cut *u, int err, const char *message)
{
	list_remove(&u->node);
	json_t *out = err ? NULL : json_object();
	if (out)
		doc_set(out, "cut", connection_doc(u->connection));
	host_answer(u->connection->instance->host, u->done, u->arg, err, message, out);
	loop_timer_free(u->timer);
	free(u);
}

static void connection_free(struct connection *c)
{
	while (!list_empty(&c->cuts))
		cut_answer(CONTAINER_OF(c->cuts.next, struct cut, node), 0, NULL);
	list_remove(&c->node);
	free(c);
}

static void connection_closed(struct connection *c)
{
	struct see_instance *s = c->instance->see;
	s->closed_in += c->bytes_in;
	s->closed_out += c->bytes_out;
	if (c->told)
		host_tell(c->instance->host, "xrdp.connection.closed", c->instance, connection_doc(c));
	connection_free(c);
}

void connections_forget(struct instance *i)
{
	struct connection *c, *next;
	LIST_FOREACH_SAFE (c, next, &i->see->connections, node)
		connection_free(c);
}

/* --- which child has it, and what desktop that child shows */

struct wanted {
	struct instance *instance;
	pid_t pid;
};

static bool on_inode(uint64_t inode, void *arg)
{
	const struct wanted *w = arg;
	struct connection *c;
	struct proc_stat s;
	LIST_FOREACH (c, &w->instance->see->connections, node) {
		if (c->pid || c->inode != inode || !proc_stat(w->pid, &s))
			continue;
		c->pid = w->pid;
		c->pid_start = s.start_ticks;
		c->started_ms = proc_start_wall_ms(s.start_ticks);
	}
	return true;
}

/* xrdp's main process has a new connection too, until its child has it: only children are looked at. */
static void find_pids(struct instance *i)
{
	pid_t pids[PIDS_MAX];
	size_t n = daemon_pids(i, pids, PIDS_MAX);
	for (size_t k = 0; k < n; k++) {
		struct wanted w = { i, pids[k] };
		struct proc_stat s;
		if (pids[k] != i->xrdp.pid && pids[k] != i->sesman.pid && proc_stat(pids[k], &s) && str_eq(s.comm, "xrdp"))
			proc_socket_inodes(pids[k], on_inode, &w);
	}
}

/* xrdp_display_N (Xorg) and xrdp_chansrv_socket_N (both kinds), by their last part. */
static int display_in_name(const char *name)
{
	static const char *const prefix[] = { "xrdp_display_", "xrdp_chansrv_socket_" };
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	int64_t n;
	for (size_t k = 0; k < ARRAY_LEN(prefix); k++)
		if (str_starts(base, prefix[k]) && str_int(base + strlen(prefix[k]), 1, 65535, &n))
			return (int)n;
	return 0;
}

/* The kernel's unix and VNC sockets as they are now; looked at only while somebody is logging in. */
struct snapshot {
	struct unix_sock *unix_socks;
	int n;
	struct tcp_sock *vnc; /* X servers' ends */
	int nvnc;
};

struct display_of {
	const struct snapshot *snap;
	int display;
};

static bool on_child_inode(uint64_t inode, void *arg)
{
	struct display_of *d = arg;
	const struct snapshot *s = d->snap;
	uint64_t peer = 0;
	for (int k = 0; k < s->n && !peer; k++)
		if (s->unix_socks[k].inode == inode)
			peer = s->unix_socks[k].peer;
	for (int k = 0; k < s->n && peer && !d->display; k++)
		if (s->unix_socks[k].inode == peer)
			d->display = display_in_name(s->unix_socks[k].name);
	/* Xvnc: our end is the one whose port the X server sees as its peer's */
	for (int k = 0; k < s->nvnc && !peer && !d->display; k++) {
		struct tcp_sock own;
		uint16_t port = s->vnc[k].peer_port;
		if (s->vnc[k].local && sock_diag_tcp(port, port, &own, 1) == 1 && own.inode == inode)
			d->display = s->vnc[k].local_port - 5900;
	}
	return !d->display;
}

static void take_user(struct connection *c)
{
	const struct desktop *d = c->display ? desktop_find(c->instance, c->display) : NULL;
	if (d && !c->user[0])
		str_copy(c->user, sizeof c->user, d->user);
	if (d && c->user[0] && !c->told) {
		c->told = true;
		host_tell(c->instance->host, "xrdp.connection.opened", c->instance, connection_doc(c));
	}
}

static void find_displays(struct instance *i, struct snapshot *snap)
{
	struct connection *c;
	LIST_FOREACH (c, &i->see->connections, node) {
		struct display_of d = { .snap = snap };
		if (!c->pid || c->display)
			continue;
		if (!snap->unix_socks) {
			snap->unix_socks = xcalloc(UNIX_MAX, sizeof *snap->unix_socks);
			snap->n = MAX(sock_diag_unix(snap->unix_socks, UNIX_MAX), 0);
		}
		struct tcp_sock vnc[64];
		bool xvnc = str_eq(doc_str(doc_get(i->spec, "desktop"), "session", "xorg"), "xvnc");
		int last = MIN(5900 + i->display_first + i->display_count - 1, 65535);
		snap->vnc = vnc;
		snap->nvnc = xvnc ? MAX(sock_diag_tcp((uint16_t)(5900 + i->display_first), (uint16_t)last, vnc, 64), 0) : 0;
		proc_socket_inodes(c->pid, on_child_inode, &d);
		snap->vnc = NULL;
		snap->nvnc = 0;
		if (d.display && (i->shared || instance_of_display(i->host, d.display) == i))
			c->display = d.display;
	}
}

/* --- the sweep */

static void take(struct instance *i, const struct tcp_sock *s)
{
	struct connection *c;
	LIST_FOREACH (c, &i->see->connections, node)
		if (c->cookie == s->cookie)
			goto known;
	c = XNEW(struct connection);
	c->instance = i;
	c->cookie = s->cookie;
	c->inode = s->inode;
	snprintf(c->id, sizeof c->id, "%016llx", (unsigned long long)s->cookie);
	str_copy(c->peer, sizeof c->peer, s->peer);
	c->peer_port = s->peer_port;
	c->started_ms = clock_wall_ms();
	list_init(&c->cuts);
	list_append(&i->see->connections, &c->node);
known:
	c->seen = true;
	c->bytes_in = s->bytes_in;
	c->bytes_out = s->bytes_out;
	if (s->state != STATE_CLOSE_WAIT)
		c->closing_ms = 0;
	else if (!c->closing_ms)
		c->closing_ms = clock_mono_ms();
}

static void kill_child(const struct connection *c, int signo)
{
	_cleanup_(closep) int fd = c->pid ? (int)syscall(SYS_pidfd_open, c->pid, 0) : -1;
	if (fd >= 0 && proc_alive(c->pid, c->pid_start))
		syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
}

static void sweep_instance(struct instance *i, struct snapshot *snap)
{
	struct connection *c, *next;
	bool unknown = false;
	LIST_FOREACH_SAFE (c, next, &i->see->connections, node) {
		if (!c->seen) {
			connection_closed(c);
			continue;
		}
		unknown = unknown || !c->pid;
		if (c->closing_ms && clock_mono_ms() - c->closing_ms > CLOSING_MS)
			kill_child(c, SIGKILL);
	}
	if (unknown)
		find_pids(i);
	find_displays(i, snap);
	LIST_FOREACH (c, &i->see->connections, node)
		take_user(c);
}

void connections_sweep(struct host *h)
{
	static struct tcp_sock socks[SOCK_DIAG_MAX];
	struct snapshot snap = { 0 };
	struct instance *i, *next;
	struct connection *c;
	int first = 65535, last = 0;
	h->see->dumped_ms = clock_mono_ms();
	INSTANCE_FOREACH (i, h) {
		if (!i->see)
			continue;
		i->see->stirred = false;
		first = MIN(first, i->port);
		last = MAX(last, i->port);
		LIST_FOREACH (c, &i->see->connections, node)
			c->seen = false;
	}
	if (first > last)
		return;
	int n = sock_diag_tcp((uint16_t)first, (uint16_t)last, socks, SOCK_DIAG_MAX);
	if (n < 0) {
		log_debug("host", "the kernel's list of connections cannot be read: %s", strerror(-n));
		return;
	}
	for (int k = 0; k < n; k++) {
		i = instance_of_port(h, socks[k].local_port);
		if (i && i->see && !(socks[k].local && ready_is_probe(socks[k].peer_port)))
			take(i, &socks[k]);
	}
	LIST_FOREACH_SAFE (i, next, &h->instances, node)
		if (i->see)
			sweep_instance(i, &snap);
	free(snap.unix_socks);
}

/* Whose client has gone or who is not on a desktop yet is looked at each time; the bytes of the others are counted now and
 * then. */
static bool is_due(struct host *h)
{
	struct instance *i;
	struct connection *c;
	int64_t since = clock_mono_ms() - h->see->dumped_ms;
	INSTANCE_FOREACH (i, h) {
		if (!i->see)
			continue;
		if (i->see->stirred || (since > COUNT_MS && !list_empty(&i->see->connections)))
			return true;
		LIST_FOREACH (c, &i->see->connections, node)
			if (c->closing_ms || !c->told)
				return true;
	}
	return since > IDLE_MS;
}

void connections_look(struct host *h)
{
	if (is_due(h))
		connections_sweep(h);
}

/* --- entries */

void host_connections(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = see_instance_of(h, in, done, arg);
	struct connection *c;
	if (!i)
		return;
	connections_sweep(h);
	json_t *out = json_object(), *list = json_array();
	LIST_FOREACH (c, &i->see->connections, node)
		json_array_append_new(list, connection_doc(c));
	doc_set(out, "connections", list);
	host_answer(h, done, arg, 0, NULL, out);
}

/* Gone is a connection whose child is, or whose socket the kernel no longer shows. */
static void on_cut(void *arg)
{
	struct cut *u = arg;
	struct connection *c = u->connection;
	int64_t spent = clock_mono_ms() - u->began_ms;
	if (!proc_alive(c->pid, c->pid_start)) {
		connection_closed(c); /* answers */
		return;
	}
	if (spent > CUT_GIVE_UP_MS) {
		cut_answer(u, -ERR_XRDP_SERVICE, "the xrdp process of this connection does not end; look at its state on the host");
		return;
	}
	if (spent > CUT_KILL_MS)
		kill_child(c, SIGKILL);
	loop_timer_set(u->timer, CUT_STEP_MS);
}

void host_connection_cut(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = see_instance_of(h, in, done, arg);
	const char *id = doc_str(in, "id", "");
	struct connection *c;
	if (!i)
		return;
	connections_sweep(h);
	LIST_FOREACH (c, &i->see->connections, node)
		if (str_eq(c->id, id))
			goto found;
	host_answer(h, done, arg, -ERR_INSTANCE_NOT_FOUND, "no such connection; GET …/connections lists those that live", NULL);
	return;
found:
	if (!c->pid) {
		host_answer(h, done, arg, -ERR_BUSY, "this connection was accepted just now; try again in a second", NULL);
		return;
	}
	struct cut *u = XNEW(struct cut);
	u->connection = c;
	u->done = done;
	u->arg = arg;
	u->began_ms = clock_mono_ms();
	u->timer = loop_timer_new(h->loop, on_cut, u);
	list_append(&c->cuts, &u->node);
	kill_child(c, SIGTERM);
	loop_timer_set(u->timer, CUT_STEP_MS);
}
