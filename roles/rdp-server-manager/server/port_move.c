#include "roles/rdp-server-manager/server/port_move.h"

#include "lucid/clock.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/port/claims.h"
#include "roles/rdp-server-manager/port/ports.h"
#include "roles/rdp-server-manager/port/probe.h"
#include "roles/rdp-server-manager/server/server.h"

/* Another process listens on the port of a new server. The caller did not name that port, so the server gets another one before its first
 * start. */
struct move {
	struct task *t;
	void (*then)(struct object_task *t);
	json_t *doc;
	int old_port;
	unsigned tries;
	char old_id[CLAIM_ID_SIZE], new_id[CLAIM_ID_SIZE];
};

static void attempt(struct move *w);

static void move_end(struct move *w)
{
	struct task *t = w->t;
	void (*then)(struct object_task *) = w->then;
	json_decref(w->doc);
	free(w);
	then(&t->on);
}

static void moved(enum store_result result, size_t index, int err, void *arg)
{
	struct move *w = arg;
	struct server *s = task_server(w->t);
	int port = (int)doc_int(w->doc, "port", 0);
	if (result == STORE_OK) {
		object_take_over(&s->o, json_incref(w->doc));
		ports_set(server_place(s)->ports, w->old_port, PORT_BLOCKED);
		log_info(SERVICE, "server %s: another process listens on port %d; the server was moved to port %d", s->o.id, w->old_port, port);
		move_end(w);
		return;
	}
	ports_set(server_place(s)->ports, port, result == STORE_EXISTS ? PORT_RESERVED : PORT_AVAILABLE);
	if (result == STORE_EXISTS && index == 0) {
		attempt(w);
		return;
	}
	if (index > 0) {
		struct claims_back *b = XNEW(struct claims_back);
		b->store = server_manager(s)->env.store;
		b->version = claim_version(s->o.id);
		memcpy(b->port_id, w->new_id, sizeof b->port_id);
		claims_give_back(b);
	}
	w->t->tries = PORT_TRIES; /* it keeps its port, and the start fails with port_in_use */
	move_end(w);
}

static void attempt(struct move *w)
{
	struct server *s = task_server(w->t);
	int port = w->tries++ < PORT_TRIES ? port_take(server_place(s)) : 0;
	if (!port) {
		w->t->tries = PORT_TRIES;
		move_end(w);
		return;
	}
	const char *node = doc_str(s->o.doc, "node", "");
	json_decref(w->doc);
	w->doc = json_copy(s->o.doc);
	doc_set_int(w->doc, "port", port);
	doc_set_int(w->doc, "version", s->o.version + 1);
	doc_set_time(w->doc, "updated_at", clock_wall_ms());
	claim_port_id(w->old_id, node, w->old_port);
	claim_port_id(w->new_id, node, port);
	_cleanup_(doc_unrefp) json_t *claim = claim_port_doc(s->o.id, node, port, clock_wall_ms());
	struct store_op ops[] = {
		{ STORE_INSERT, COL_PORTS, w->new_id, 0, claim },
		{ STORE_REPLACE, COL_SERVERS, s->o.id, s->o.stored_version, w->doc },
		{ STORE_DELETE, COL_PORTS, w->old_id, claim_version(s->o.id), NULL },
	};
	store_write(server_manager(s)->env.store, ops, ARRAY_LEN(ops), moved, w);
}

static void settled(int err, void *arg)
{
	struct move *w = arg;
	if (err) {
		w->t->tries = PORT_TRIES;
		move_end(w);
	} else {
		attempt(w);
	}
}

void run_port_move(struct task *t, void (*then)(struct object_task *t))
{
	struct move *w = XNEW(struct move);
	w->t = t;
	w->then = then;
	w->old_port = task_server(t)->port;
	object_wait(&task_server(t)->o, settled, w);
}
