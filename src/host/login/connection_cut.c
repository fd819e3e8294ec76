#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/str.h"

/* SIGTERM, then SIGKILL after CUT_KILL_MS, then an error after CUT_GIVE_UP_MS. */
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

void connection_cuts_answer(struct connection *c)
{
	while (!list_empty(&c->cuts))
		cut_answer(CONTAINER_OF(c->cuts.next, struct cut, node), 0, NULL);
}

/* A connection has ended when its process has ended, or when the kernel no longer lists its socket. */
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
		cut_answer(u, -ERR_XRDP_SERVICE, "the xrdp process of this connection does not end; check its state on the host");
		return;
	}
	if (spent > CUT_KILL_MS)
		process_signal(c->pid, c->pid_start, SIGKILL);
	loop_timer_set(u->timer, CUT_STEP_MS);
}

void connection_cut(struct connection *c, host_done done, void *arg)
{
	struct host *h = c->instance->host;
	if (!c->pid) {
		host_answer(h, done, arg, -ERR_BUSY, "this connection was accepted just now; retry in 1 s", NULL);
		return;
	}
	struct cut *u = XNEW(struct cut);
	u->connection = c;
	u->done = done;
	u->arg = arg;
	u->began_ms = clock_mono_ms();
	u->timer = loop_timer_new(h->loop, on_cut, u);
	list_append(&c->cuts, &u->node);
	process_signal(c->pid, c->pid_start, SIGTERM);
	loop_timer_set(u->timer, CUT_STEP_MS);
}

void host_connection_cut(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	const char *id = doc_str(in, "id", "");
	struct connection *c;
	if (!i)
		return;
	connections_sweep(h);
	LIST_FOREACH (c, &i->observed->connections, node)
		if (str_eq(c->id, id))
			goto found;
	host_answer(h, done, arg, -ERR_INSTANCE_NOT_FOUND, "connection not found; GET …/connections lists the open connections", NULL);
	return;
found:
	connection_cut(c, done, arg);
}
