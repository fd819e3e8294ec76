#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/observe/observe.h"
#include "host/login/connection_desktop.h"
#include "host/kernel/proc.h"
#include "host/observe/observed.h"
#include "host/kernel/sock_diag.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/watch.h"

#define STATE_CLOSE_WAIT 8
/* An xrdp process that ignores the close of its client for this long is killed. */
#define CLOSING_MS 20000
/* Interval of the dumps of connections without a change, with connections and without any. */
#define COUNT_MS 4500
#define IDLE_MS 20000
/* The same while connections arrive that must be closed. */
#define RUSH_MS 100
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
	doc_set(doc, "latency_ms", c->sock.rtt_us ? json_real((double)c->sock.rtt_us / 1000) : NULL);
	doc_set_time(doc, "started_at", c->started_ms);
	return doc;
}

struct connection *connection_of_display(struct instance *i, int display)
{
	struct connection *c, *newest = NULL;
	const struct desktop *d = desktop_find(i, display);
	LIST_FOREACH (c, &i->observed->connections, node) {
		/* a reused display belongs to its new user only */
		if (d && d->user[0] && c->user[0] && !str_eq(d->user, c->user))
			continue;
		if (c->display == display && !c->closing_ms && (!newest || c->started_ms >= newest->started_ms))
			newest = c;
	}
	return newest;
}

void connections_leave(struct instance *i, int display)
{
	struct connection *c;
	LIST_FOREACH (c, &i->observed->connections, node)
		if (c->display == display)
			c->display = 0;
}

static void on_process_ended(void *arg, UNUSED const struct obituary *o)
{
	struct connection *c = arg;
	c->watch = NULL;
	c->instance->observed->daemons_changed = true;
	observe_soon(c->instance->host);
}

void connection_served_by(struct connection *c, pid_t pid, uint64_t start)
{
	watch_free(TAKE_PTR(c->watch));
	c->pid = pid;
	c->pid_start = start;
	if (pid)
		c->watch = watch_new(c->instance->host->children, pid, start, on_process_ended, c);
}

static void connection_free(struct connection *c)
{
	watch_free(c->watch);
	connection_cuts_answer(c);
	list_remove(&c->node);
	free(c);
}

void connection_closed(struct connection *c)
{
	struct observed *s = c->instance->observed;
	login_left(c);
	s->closed_in += c->bytes_in;
	s->closed_out += c->bytes_out;
	if (c->told)
		host_tell(c->instance->host, "xrdp.connection.closed", c->instance, connection_doc(c));
	connection_free(c);
}

void connections_forget(struct instance *i)
{
	struct connection *c, *next;
	LIST_FOREACH_SAFE (c, next, &i->observed->connections, node)
		connection_free(c);
}

/* --- the sweep */

static void connection_seen(struct instance *i, const struct tcp_sock *s)
{
	struct connection *c;
	LIST_FOREACH (c, &i->observed->connections, node)
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
	c->since_ms = clock_mono_ms();
	list_init(&c->cuts);
	list_append(&i->observed->connections, &c->node);
known:
	c->seen = true;
	c->sock = *s;
	c->bytes_in = s->bytes_in;
	c->bytes_out = s->bytes_out;
	if (s->state != STATE_CLOSE_WAIT)
		c->closing_ms = 0;
	else if (!c->closing_ms)
		c->closing_ms = clock_mono_ms();
}

void connection_abort(struct connection *c)
{
	sock_diag_destroy(&c->sock);
	process_signal(c->pid, c->pid_start, SIGKILL);
}

static bool sweep_instance(struct instance *i, struct socket_snapshot *snap, bool all_seen)
{
	struct connection *c, *next;
	bool unknown = false;
	LIST_FOREACH_SAFE (c, next, &i->observed->connections, node) {
		if (!c->seen && all_seen) {
			connection_closed(c);
			continue;
		}
		if (c->pid && !proc_alive(c->pid, c->pid_start)) {
			connection_served_by(c, 0, 0); /* another process has the socket now; its desktop is determined again */
			c->display = 0;
		}
		unknown = unknown || !c->pid;
		if (c->closing_ms && clock_mono_ms() - c->closing_ms > CLOSING_MS)
			process_signal(c->pid, c->pid_start, SIGKILL);
	}
	if (unknown)
		connections_find_pids(i);
	connections_find_displays(i, snap);
	LIST_FOREACH (c, &i->observed->connections, node)
		connection_take_user(c);
	return connection_bounds_judge(i);
}

void connections_sweep(struct host *h)
{
	static struct tcp_sock socks[SOCK_DIAG_MAX];
	struct socket_snapshot snap = { 0 };
	struct instance *i, *next;
	struct connection *c;
	int first = 65535, last = 0;
	h->observer->dumped_ms = clock_mono_ms();
	INSTANCE_FOREACH (i, h) {
		if (!i->observed)
			continue;
		i->observed->daemons_changed = false;
		first = MIN(first, i->port);
		last = MAX(last, i->port);
		LIST_FOREACH (c, &i->observed->connections, node)
			c->seen = false;
	}
	if (first > last)
		return;
	int n = sock_diag_tcp((uint16_t)first, (uint16_t)last, socks, SOCK_DIAG_MAX);
	if (n < 0) {
		log_debug("host", "the kernel's connection list cannot be read: %s", strerror(-n));
		return;
	}
	for (int k = 0; k < n; k++) {
		i = instance_of_port(h, socks[k].local_port);
		if (i && i->observed)
			connection_seen(i, &socks[k]);
	}
	bool rush = false;
	LIST_FOREACH_SAFE (i, next, &h->instances, node)
		if (i->observed && sweep_instance(i, &snap, n < SOCK_DIAG_MAX))
			rush = true;
	socket_snapshot_done(&snap);
	if (rush)
		loop_timer_set(h->observer->rush, RUSH_MS);
}

/* Connections that are closing or show no desktop yet are checked each time; the byte counts of the others are updated less often. */
static bool is_due(struct host *h)
{
	struct instance *i;
	struct connection *c;
	int64_t since = clock_mono_ms() - h->observer->dumped_ms;
	INSTANCE_FOREACH (i, h) {
		if (!i->observed)
			continue;
		if (i->observed->daemons_changed || (since > COUNT_MS && !list_empty(&i->observed->connections)))
			return true;
		LIST_FOREACH (c, &i->observed->connections, node)
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
	struct instance *i = instance_of_request(h, in, done, arg);
	struct connection *c;
	if (!i)
		return;
	connections_sweep(h);
	json_t *out = json_object(), *list = json_array();
	LIST_FOREACH (c, &i->observed->connections, node)
		if (!c->cut_for)
			json_array_append_new(list, connection_doc(c));
	doc_set(out, "connections", list);
	host_answer(h, done, arg, 0, NULL, out);
}
