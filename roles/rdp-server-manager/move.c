#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"
#include "roles/rdp-server-manager/claims.h"

/* A new server that nobody promised a port: a stranger sits on the one it got, so it gets another before it first runs. */
struct move {
	struct task *t;
	void (*then)(struct task *t);
	json_t *doc;
	int old_port;
	unsigned tries;
	char old_id[CLAIM_ID_SIZE], new_id[CLAIM_ID_SIZE];
};

static void attempt(struct move *w);

static void over(struct move *w)
{
	struct task *t = w->t;
	void (*then)(struct task *) = w->then;
	json_decref(w->doc);
	free(w);
	then(t);
}

static void moved(enum store_result result, size_t index, int err, void *arg)
{
	struct move *w = arg;
	struct server *s = w->t->s;
	int port = (int)doc_int(w->doc, "port", 0);
	if (result == STORE_OK) {
		server_written(s, json_incref(w->doc), doc_int(w->doc, "version", 0));
		ports_set(s->place->ports, w->old_port, PORT_BLOCKED);
		log_info(SERVICE, "server %s: a stranger listens on port %d; it has port %d now", s->id, w->old_port, port);
		over(w);
		return;
	}
	ports_set(s->place->ports, port, result == STORE_EXISTS ? PORT_RESERVED : PORT_AVAILABLE);
	if (result == STORE_EXISTS && index == 0) {
		attempt(w);
		return;
	}
	if (index > 0) {
		struct claims_back *b = XNEW(struct claims_back);
		b->store = s->m->env.store;
		b->version = claim_version(s->id);
		memcpy(b->port_id, w->new_id, sizeof b->port_id);
		claims_give_back(b);
	}
	w->t->tries = PORT_TRIES; /* it stays where it was, and fails with the reason */
	over(w);
}

static void attempt(struct move *w)
{
	struct server *s = w->t->s;
	int port = w->tries++ < PORT_TRIES ? port_take(s->place) : 0;
	if (!port) {
		w->t->tries = PORT_TRIES;
		over(w);
		return;
	}
	const char *node = doc_str(s->doc, "node", "");
	json_decref(w->doc);
	w->doc = json_copy(s->doc);
	doc_set_int(w->doc, "port", port);
	doc_set_int(w->doc, "version", s->version + 1);
	doc_set_time(w->doc, "updated_at", clock_wall_ms());
	claim_port_id(w->old_id, node, w->old_port);
	claim_port_id(w->new_id, node, port);
	_cleanup_(doc_unrefp) json_t *claim = claim_port_doc(s->id, node, port, clock_wall_ms());
	struct store_op ops[] = {
		{ STORE_INSERT, COL_PORTS, w->new_id, 0, claim },
		{ STORE_REPLACE, COL_SERVERS, s->id, s->stored_version, w->doc },
		{ STORE_DELETE, COL_PORTS, w->old_id, claim_version(s->id), NULL },
	};
	store_write(s->m->env.store, ops, ARRAY_LEN(ops), moved, w);
}

static void settled(int err, void *arg)
{
	struct move *w = arg;
	if (err) {
		w->t->tries = PORT_TRIES;
		over(w);
	} else {
		attempt(w);
	}
}

void run_move_port(struct task *t, void (*then)(struct task *t))
{
	struct move *w = XNEW(struct move);
	w->t = t;
	w->then = then;
	w->old_port = t->s->port;
	server_wait(t->s, settled, w);
}
