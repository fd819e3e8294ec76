#include "roles/rdp-server-manager/server/create.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/node/placement.h"
#include "roles/rdp-server-manager/port/claims.h"
#include "roles/rdp-server-manager/port/ports.h"
#include "roles/rdp-server-manager/port/probe.h"
#include "roles/rdp-server-manager/profiles.h"
#include "roles/rdp-server-manager/server/definition.h"
#include "roles/rdp-server-manager/server/quotas.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/start.h"
#include "roles/rdp-server-manager/server/states.h"

/* POST /servers: inserts the claims of port and name and the server in one list of writes, and responds when it is durable. The port is only
 * a hint; if its claim already exists, the next port is tried. */
struct creation {
	struct manager *m;
	struct call *call;
	struct server *s; /* unborn, but counted, so that quotas hold while the store writes */
	json_t *doc;
	bool wait, port_asked;
	unsigned tries;
	int64_t now_ms;
};

static void attempt(struct creation *w);
static void try_port(struct creation *w);

static void creation_end(struct creation *w)
{
	struct manager *m = w->m;
	json_decref(w->doc);
	free(w);
	objects_release(m->objects);
}

static void born(struct creation *w)
{
	struct manager *m = w->m;
	struct server *s = w->s;
	char path[96];
	snprintf(path, sizeof path, "/api/v1/rdp/servers/%s", s->o.id);
	call_set_location(w->call, path);
	s->o.unborn = false;
	objects_figures(m->objects);
	metric_add(m->metrics.created, 1);
	json_t *data = json_object();
	static const char *const told[] = { "name", "status", "node", "port", "version" };
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		json_object_set(data, told[i], json_object_get(w->doc, told[i]));
	bus_publish(m->env.bus, "server.created", s->o.id, s->o.owner->id, data);
	if (!w->wait || s->o.state == SERVER_STOPPED) {
		call_set_version(w->call, 1);
		call_ok(TAKE_PTR(w->call), json_incref(w->doc));
	}
	if (s->o.state != SERVER_STOPPED) {
		struct task *t = task_new(m, TAKE_PTR(w->call), run_start);
		t->on.fresh = true;
		t->on.wait = w->wait;
		t->port_asked = w->port_asked;
		object_queue(&s->o, &t->on);
	}
	creation_end(w);
}

/* The creation failed: release the claims that may exist, and drop the record. */
static void give_up(struct creation *w, size_t claims)
{
	if (claims) {
		struct claims_back *b = XNEW(struct claims_back);
		b->store = w->m->env.store;
		b->version = claim_version(w->s->o.id);
		claim_port_id(b->port_id, doc_str(w->doc, "node", ""), w->s->port);
		if (claims > 1)
			claim_name_id(b->name_id, w->s->o.owner->id, doc_str(w->doc, "name", ""));
		claims_give_back(b);
	}
	object_drop(&w->s->o);
	creation_end(w);
}

/* The port is in use: mark it and try another one. */
static void next_port(struct creation *w, enum port_state why)
{
	struct place *p = server_place(w->s);
	int taken = w->s->port, port = 0;
	if (why == PORT_RESERVED) /* otherwise two managers would collide at each of the next ports too */
		ports_scatter(p->ports);
	if (w->port_asked)
		call_fail(w->call, ERR_CONFLICT, "port %d is already in use; name another port, or omit `port` to have one chosen", taken);
	else if (++w->tries >= PORT_TRIES || !(port = port_take(p)))
		call_fail(w->call, ERR_NO_PORT, NULL);
	if (!port) {
		give_up(w, 0);
		ports_set(p->ports, taken, why);
		return;
	}
	ports_let_go(p->ports, taken);
	ports_set(p->ports, taken, why);
	ports_hold(p->ports, port);
	w->s->port = port;
	doc_set_int(w->doc, "port", port);
	try_port(w);
}

static void port_checked(const struct reply *r, void *arg)
{
	struct creation *w = arg;
	if (!r->err && json_array_size(json_object_get(r->doc, "blocked")))
		next_port(w, PORT_BLOCKED);
	else
		attempt(w); /* an unreachable agent cannot check; the start reports a blocked port */
}

/* The ports of another node are checked by its agent first. */
static void try_port(struct creation *w)
{
	struct manager *m = w->m;
	if (place_is_here(server_place(w->s)))
		attempt(w);
	else
		agent_call(m, server_place(w->s)->g.name, m->agent.ports, NULL, NULL, json_pack("{s:[i]}", "ports", w->s->port), w->call,
			   port_checked, w);
}

static void stored(enum store_result result, size_t index, int err, void *arg)
{
	struct creation *w = arg;
	if (result == STORE_OK) {
		born(w);
	} else if (result == STORE_EXISTS && index == 0) {
		next_port(w, PORT_RESERVED);
	} else if (result == STORE_EXISTS && index == 1) {
		call_fail(w->call, ERR_CONFLICT, "%s already has a server with this name; choose another name", w->s->o.owner->id);
		give_up(w, 1);
	} else {
		/* if the outcome is uncertain, the sweep releases the claims after it has read the store */
		objects_fail_call(w->m->objects, w->call, err, ERR_SERVER_CREATE);
		give_up(w, store_unsure(err) ? 0 : index);
	}
}

static void attempt(struct creation *w)
{
	char port_id[CLAIM_ID_SIZE], name_id[CLAIM_ID_SIZE];
	const char *node = doc_str(w->doc, "node", ""), *name = doc_str(w->doc, "name", "");
	_cleanup_(doc_unrefp) json_t *port_doc = claim_port_doc(w->s->o.id, node, w->s->port, w->now_ms);
	_cleanup_(doc_unrefp) json_t *name_doc = claim_name_doc(w->s->o.id, w->s->o.owner->id, name, w->now_ms);
	struct store_op ops[] = {
		{ STORE_INSERT, COL_PORTS, claim_port_id(port_id, node, w->s->port), 0, port_doc },
		{ STORE_INSERT, COL_NAMES, claim_name_id(name_id, w->s->o.owner->id, name), 0, name_doc },
		{ STORE_INSERT, COL_SERVERS, w->s->o.id, 0, w->doc },
	};
	store_write(w->m->env.store, ops, ARRAY_LEN(ops), stored, w);
}

/* The first port to try; 0: the call was answered. */
static int first_port(struct place *p, struct call *c, int asked)
{
	int port = asked;
	if (!asked && !(port = port_take(p)))
		call_fail(c, ERR_NO_PORT, NULL);
	if (asked && (ports_get(p->ports, asked) == PORT_ALLOCATED || port_is_foreign(p, asked))) {
		call_fail(c, ERR_CONFLICT, "port %d is already in use; name another port, or omit `port` to have one chosen", asked);
		return 0;
	}
	return port;
}

static void counted(enum store_result result, UNUSED struct blob *const *docs, UNUSED size_t n, int64_t total, int err, void *arg)
{
	struct creation *w = arg;
	if (result == STORE_OK && !quota_of(w->m, w->call, w->s->o.owner->id, total)) {
		try_port(w);
		return;
	}
	if (result != STORE_OK)
		objects_fail_call(w->m->objects, w->call, err, ERR_SERVER_CREATE);
	give_up(w, 0);
}

/* With several managers, the records here may be behind. From half of the quota on, the store counts the servers of the owner. */
static void count(struct creation *w)
{
	struct manager *m = w->m;
	if (m->one_host || (int64_t)w->s->o.owner->objects * 2 < m->max_per_user) {
		try_port(w);
		return;
	}
	struct store_query q = { .filters = { { .path = "user_id", .cmp = STORE_EQ, .text = w->s->o.owner->id } }, .nfilters = 1,
				 .want_total = true };
	store_list(m->env.store, COL_SERVERS, &q, counted, w);
}

void op_create(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	const json_t *body = call_body(c);
	if (!objects_ready(m->objects, c, op_create) || !profiles_fresh(m, c, body, op_create))
		return;
	struct faults f = { 0 };
	server_check_admin(call_caller(c), body, &f);
	server_check(m, body, doc_str(body, "node", NULL), &f);
	const char *user = doc_str(body, "user_id", call_caller(c)->sub);
	if (!*user)
		faults_add(&f, "user_id", "is required: the token names no user (claim sub) who could own the server");
	if (faults_any(&f)) {
		call_fail_details(c, ERR_INVALID, faults_take(&f), NULL);
		return;
	}
	bool run = doc_bool(body, "auto_start", true);
	struct place *p = place_choose(m, c, &(struct place_wish){ doc_str(body, "node", NULL), doc_str(call_query(c), "labels", ""), run });
	if (!p)
		return;
	server_check_profile(m, body, p->g.name, &f);
	if (faults_any(&f)) {
		call_fail_details(c, ERR_INVALID, faults_take(&f), NULL);
		return;
	}
	if (quota_definition(m, c, user) || (run && quota_live(m, c)))
		return;
	int asked = (int)doc_int(body, "port", 0), port = first_port(p, c, asked);
	if (!port)
		return;
	struct creation *w = XNEW(struct creation);
	char id[ID_UUID_SIZE];
	id_uuid(id);
	w->m = m;
	w->call = c;
	w->now_ms = clock_wall_ms();
	w->port_asked = asked != 0;
	w->wait = doc_bool(call_query(c), "wait", false);
	w->doc = server_define(m, id, user, p->g.name, port, body, w->now_ms);
	w->s = (struct server *)objects_add(m->objects, w->doc);
	objects_hold(m->objects);
	if (!w->s) {
		ports_set(p->ports, port, PORT_AVAILABLE);
		call_fail(c, ERR_QUOTA, "the limit on server definitions is reached; delete a server first");
		creation_end(w);
		return;
	}
	w->s->o.unborn = true;
	count(w);
}
