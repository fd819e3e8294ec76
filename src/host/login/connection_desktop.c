#include "host/login/connection_desktop.h"

#include <stdio.h>

#include "host/kernel/proc.h"
#include "host/kernel/sock_diag.h"
#include "host/observe/observed.h"
#include "host/preload_env.h"
#include "host/xrdp_config/programs.h"
#include "lucid/str.h"

#define PIDS_MAX 8192
#define UNIX_MAX 16384

struct wanted {
	struct instance *instance;
	pid_t pid;
};

static bool on_inode(uint64_t inode, void *arg)
{
	const struct wanted *w = arg;
	struct connection *c;
	struct proc_stat s;
	LIST_FOREACH (c, &w->instance->observed->connections, node) {
		if (c->pid || c->inode != inode || !proc_stat(w->pid, &s))
			continue;
		connection_served_by(c, w->pid, s.start_ticks);
		c->started_ms = proc_start_wall_ms(s.start_ticks);
	}
	return true;
}

static bool has_connection(const struct instance *i, pid_t pid)
{
	const struct connection *c;
	LIST_FOREACH (c, &i->observed->connections, node)
		if (c->pid == pid)
			return true;
	return false;
}

/* Only children of xrdp are checked, because its main process also has a new connection open until the child runs. */
void connections_find_pids(struct instance *i)
{
	static pid_t pids[PIDS_MAX];
	size_t n = daemon_pids(i, pids, PIDS_MAX);
	for (size_t k = 0; k < n; k++) {
		struct wanted w = { i, pids[k] };
		struct proc_stat s;
		if (has_connection(i, pids[k]))
			continue;
		if (pids[k] != i->xrdp.pid && pids[k] != i->sesman.pid && proc_stat(pids[k], &s) && program_is_xrdp(s.comm))
			proc_socket_inodes(pids[k], on_inode, &w);
	}
}

/* From the last component: xrdp_display_N (Xorg), xrdp_vnc_N (Xvnc), xrdp_chansrv_socket_N (both). */
static int display_in_name(const char *name)
{
	static const char *const prefix[] = { "xrdp_display_", "xrdp_chansrv_socket_", PRELOAD_VNC_NAME };
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	int64_t n;
	for (size_t k = 0; k < ARRAY_LEN(prefix); k++)
		if (str_starts(base, prefix[k]) && str_int(base + strlen(prefix[k]), 1, 65535, &n))
			return (int)n;
	return 0;
}

struct display_of {
	const struct socket_snapshot *snap;
	int display;
};

static bool on_child_inode(uint64_t inode, void *arg)
{
	struct display_of *d = arg;
	const struct socket_snapshot *s = d->snap;
	uint64_t peer = 0;
	for (int k = 0; k < s->n && !peer; k++)
		if (s->unix_socks[k].inode == inode)
			peer = s->unix_socks[k].peer;
	for (int k = 0; k < s->n && peer && !d->display; k++)
		if (s->unix_socks[k].inode == peer)
			d->display = display_in_name(s->unix_socks[k].name);
	/* Xvnc: the socket of the child is the one whose port is the peer port of the X server */
	for (int k = 0; k < s->nvnc && !peer && !d->display; k++) {
		struct tcp_sock own;
		uint16_t port = s->vnc[k].peer_port;
		if (s->vnc[k].local && sock_diag_tcp(port, port, &own, 1) == 1 && own.inode == inode)
			d->display = s->vnc[k].local_port - 5900;
	}
	return !d->display;
}

void connection_take_user(struct connection *c)
{
	const struct desktop *d = c->display ? desktop_find(c->instance, c->display) : NULL;
	if (d && d->user[0] && !str_eq(c->user, d->user)) {
		/* its first desktop, or another one after a return to the login screen */
		str_copy(c->user, sizeof c->user, d->user);
		c->told = false;
	}
	if (d && c->user[0] && !c->told) {
		c->told = true;
		host_tell(c->instance->host, "xrdp.connection.opened", c->instance, connection_doc(c));
		login_connected(c);
	}
}

void connections_find_displays(struct instance *i, struct socket_snapshot *snap)
{
	struct connection *c;
	LIST_FOREACH (c, &i->observed->connections, node) {
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

void socket_snapshot_done(struct socket_snapshot *s)
{
	free(s->unix_socks);
}
