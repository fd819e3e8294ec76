#include "roles/rdp-server-manager/servers.h"

#include "roles/rdp-server-manager/claims.h"

#define RACES_MAX 8

/* The end of a delete: first the server, then its claims, so that what a crash leaves behind is a claim and never a server
 * whose port or name somebody else has. */
static void gone(struct task *t)
{
	struct server *s = t->s;
	struct manager *m = s->m;
	metric_add(m->metrics.deleted, 1);
	json_t *data = json_object();
	json_object_set(data, "name", json_object_get(s->doc, "name"));
	json_object_set(data, "node", json_object_get(s->doc, "node"));
	bus_publish(m->env.bus, "server.deleted", s->id, s->owner->id, data);
	if (t->call)
		call_ok(TAKE_PTR(t->call), NULL);
	server_drop(s);
	servers_gauge(m);
	task_end(t);
}

static void alone(enum store_result result, size_t index, int err, void *arg)
{
	struct task *t = arg;
	struct server *s = t->s;
	if (result == STORE_FAILED || result == STORE_STALE) {
		if (t->call)
			store_fail(TAKE_PTR(t->call), result == STORE_STALE ? -ERR_BUSY : err, ERR_SERVER_DELETE);
		task_end(t);
		return;
	}
	struct claims_back *b = XNEW(struct claims_back);
	b->store = s->m->env.store;
	b->version = claim_version(s->id);
	claim_port_id(b->port_id, doc_str(s->doc, "node", ""), s->port);
	claim_name_id(b->name_id, s->owner->id, doc_str(s->doc, "name", ""));
	claims_give_back(b);
	gone(t);
}

/* A claim was not there or not its own: the server goes alone, and the claims, where they are its own, one by one. */
static void without_claims(struct task *t)
{
	struct store_op op = { STORE_DELETE, COL_SERVERS, t->s->id, 0, NULL };
	store_write(t->s->m->env.store, &op, 1, alone, t);
}

static void reread(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct task *t = arg;
	json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc) {
		server_written(t->s, doc, d->version);
		run_stop(t); /* it may have been started meanwhile */
	} else if (result == STORE_MISSING) {
		gone(t);
	} else {
		if (t->call)
			store_fail(TAKE_PTR(t->call), err, ERR_SERVER_DELETE);
		task_end(t);
	}
}

static void removed(enum store_result result, size_t index, int err, void *arg)
{
	struct task *t = arg;
	if (result == STORE_OK) {
		gone(t);
	} else if (result == STORE_STALE && index == 0) {
		if (t->if_match || ++t->tries > RACES_MAX)
			task_fail(t, t->if_match ? ERR_STALE : ERR_BUSY, NULL);
		else
			store_get(t->s->m->env.store, COL_SERVERS, t->s->id, reread, t);
	} else if (result == STORE_MISSING && index == 0 && !t->s->m->one_host) {
		server_drop(t->s); /* another manager was first, and told of it */
		task_fail(t, ERR_SERVER_NOT_FOUND, NULL);
	} else if (result == STORE_FAILED) {
		if (t->call)
			store_fail(TAKE_PTR(t->call), err, ERR_SERVER_DELETE);
		task_end(t);
	} else {
		without_claims(t);
	}
}

static void write_it(struct task *t)
{
	struct server *s = t->s;
	char port_id[CLAIM_ID_SIZE], name_id[CLAIM_ID_SIZE];
	struct store_op ops[] = {
		{ STORE_DELETE, COL_SERVERS, s->id, s->stored_version, NULL },
		{ STORE_DELETE, COL_NAMES, claim_name_id(name_id, s->owner->id, doc_str(s->doc, "name", "")),
		  claim_version(s->id), NULL },
		{ STORE_DELETE, COL_PORTS, claim_port_id(port_id, doc_str(s->doc, "node", ""), s->port),
		  claim_version(s->id), NULL },
	};
	store_write(s->m->env.store, ops, ARRAY_LEN(ops), removed, t);
}

static void settled(int err, void *arg)
{
	struct task *t = arg;
	if (!err) {
		if (t->s->overtaken)
			task_again(t); /* it may have been started meanwhile */
		else
			write_it(t);
		return;
	}
	if (t->call)
		store_fail(TAKE_PTR(t->call), err, ERR_SERVER_DELETE);
	task_end(t);
}

void run_remove(struct task *t)
{
	server_wait(t->s, settled, t);
}
