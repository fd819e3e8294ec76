#include "roles/rdp-server-manager/server/delete.h"

#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/port/claims.h"
#include "roles/rdp-server-manager/server/server.h"

#define RACES_MAX 8

/* Completes a deletion. The server is deleted before its claims, so that a crash can leave a claim behind, but never a server whose port
 * or name belongs to another one. */
static void gone(struct task *t)
{
	struct server *s = task_server(t);
	struct manager *m = server_manager(s);
	metric_add(m->metrics.deleted, 1);
	json_t *data = json_object();
	json_object_set(data, "name", json_object_get(s->o.doc, "name"));
	json_object_set(data, "node", json_object_get(s->o.doc, "node"));
	bus_publish(m->env.bus, "server.deleted", s->o.id, s->o.owner->id, data);
	if (t->on.call)
		call_ok(TAKE_PTR(t->on.call), NULL);
	object_drop(&s->o);
	objects_figures(m->objects);
	object_task_end(&t->on);
}

static void alone(enum store_result result, size_t index, int err, void *arg)
{
	struct task *t = arg;
	struct server *s = task_server(t);
	if (result == STORE_FAILED || result == STORE_STALE) {
		object_task_fail_store(&t->on, result == STORE_STALE ? -ERR_BUSY : err, ERR_SERVER_DELETE);
		return;
	}
	struct claims_back *b = XNEW(struct claims_back);
	b->store = server_manager(s)->env.store;
	b->version = claim_version(s->o.id);
	claim_port_id(b->port_id, doc_str(s->o.doc, "node", ""), s->port);
	claim_name_id(b->name_id, s->o.owner->id, doc_str(s->o.doc, "name", ""));
	claims_give_back(b);
	gone(t);
}

/* A claim is missing or belongs to another server: delete the server alone, then each claim that is its own. */
static void without_claims(struct task *t)
{
	struct store_op op = { STORE_DELETE, COL_SERVERS, task_server(t)->o.id, 0, NULL };
	store_write(server_manager(task_server(t))->env.store, &op, 1, alone, t);
}

static void reread(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct task *t = arg;
	json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc) {
		object_take_over(&task_server(t)->o, doc);
		t->on.run(&t->on); /* start again: the server may have been started in the meantime */
	} else if (result == STORE_MISSING) {
		gone(t);
	} else {
		object_task_fail_store(&t->on, err, ERR_SERVER_DELETE);
	}
}

static void removed(enum store_result result, size_t index, int err, void *arg)
{
	struct task *t = arg;
	if (result == STORE_OK) {
		gone(t);
	} else if (result == STORE_STALE && index == 0) {
		if (t->if_match || ++t->tries > RACES_MAX)
			object_task_fail(&t->on, t->if_match ? ERR_STALE : ERR_BUSY, NULL);
		else
			store_get(server_manager(task_server(t))->env.store, COL_SERVERS, task_server(t)->o.id, reread, t);
	} else if (result == STORE_MISSING && index == 0 && !server_manager(task_server(t))->one_host) {
		object_drop(&task_server(t)->o); /* another manager deleted it first, and published the event */
		object_task_fail(&t->on, ERR_SERVER_NOT_FOUND, NULL);
	} else if (result == STORE_FAILED) {
		object_task_fail_store(&t->on, err, ERR_SERVER_DELETE);
	} else {
		without_claims(t);
	}
}

static void write_it(struct task *t)
{
	struct server *s = task_server(t);
	char port_id[CLAIM_ID_SIZE], name_id[CLAIM_ID_SIZE];
	struct store_op ops[] = {
		{ STORE_DELETE, COL_SERVERS, s->o.id, s->o.stored_version, NULL },
		{ STORE_DELETE, COL_NAMES, claim_name_id(name_id, s->o.owner->id, doc_str(s->o.doc, "name", "")),
		  claim_version(s->o.id), NULL },
		{ STORE_DELETE, COL_PORTS, claim_port_id(port_id, doc_str(s->o.doc, "node", ""), s->port),
		  claim_version(s->o.id), NULL },
	};
	store_write(server_manager(s)->env.store, ops, ARRAY_LEN(ops), removed, t);
}

static void settled(int err, void *arg)
{
	struct task *t = arg;
	if (!err) {
		if (task_server(t)->o.overtaken)
			object_task_again(&t->on); /* the server may have been started in the meantime */
		else
			write_it(t);
		return;
	}
	object_task_fail_store(&t->on, err, ERR_SERVER_DELETE);
}

void run_delete(struct object_task *on)
{
	struct task *t = task_of(on);
	object_wait(&task_server(t)->o, settled, t);
}
