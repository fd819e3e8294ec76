/* A server manager on a real bus and a real embedded store, with an agent that the test controls. For test_servers_*.c and test_managers.c. */
#ifndef SERVERS_RIG_H
#define SERVERS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "app/settings/options.h"
#include "bus/transport.h"
#include "lease/leases.h"
#include "cluster/presence.h"
#include "lucid/clock.h"
#include "lucid/role.h"
#include "lucid/str.h"
#include "object/set.h"
#include "roles/contract/contract.h"
#include "roles/rdp-server-manager/node/leader.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/node/reconcile.h"
#include "roles/rdp-server-manager/port/claims.h"
#include "roles/rdp-server-manager/server/kind.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/start.h"
#include "store/open.h"
#include "test/lib/loop_rig.h"

extern const struct role role_rdp_server_manager;

/* A bound: an operation that takes longer hangs, and a process that is silent longer is dead. A busy machine, especially with a busy disk, pauses
 * for seconds; tests of what happens when something dies set a shorter time. */
#define RIG_PATIENCE_MS 60000

static const struct caller admin = { .sub = "root", .roles = CALLER_ADMIN };
static const struct caller alice = { .sub = "alice", .roles = CALLER_USER };
static const struct caller bob = { .sub = "bob", .roles = CALLER_USER };

struct rig {
	struct loop *loop;
	struct bus *bus;
	struct store *store;
	struct config *config;
	struct leases *leases;
	struct nodes *nodes;
	struct presence *presence; /* of the agent */
	struct presence *others[4]; /* of other hosts' agents; freed with it, when nothing of them is in flight any more */
	bool shared; /* the store is shared with other hosts */
	struct transport *way; /* to their agents */
	struct rig *with;	/* the rig whose loop, store and agent this one shares */
	struct rig *joined;	/* the reverse: stopped first */
	void *role;
	char dir[64], path[96];
	size_t queue_limit;
	unsigned node_lost_ms; /* 0: RIG_PATIENCE_MS */
	/* the agent */
	json_t *instances;  /* id → instance */
	json_t *desktops;   /* id → array */
	int away;	    /* error that the agent answers with; 0: none */
	int refuse_start;   /* error for starts only */
	const char *reason; /* reason with which starts fail */
	int stranger;	    /* this port is in use by another process */
	bool hold;	    /* starts wait in `held` */
	struct call *held;
	const char *default_fault; /* why a server without a profile cannot start, as the agent reports it */
	unsigned profiles_asked;
	const char *refused; /* accounts that may not log in, as the agent reports them */
	bool hold_stops;   /* stops wait in `held_stop` */
	struct call *held_stop;
	unsigned starts, replaces, stops, removes, limits;
	json_t *last_spec;
	/* received events */
	char events[4096];
	struct subscription *sub;
};
struct answer {
	struct rig *rig;
	bool over;
	enum err err;
	int status;
	json_t *doc, *details;
	struct blob *blob;
	int64_t version;
	char message[300], location[200], type[64];
};

UNUSED static void rig_publish(struct rig *t, const char *topic, const char *id)
{
	bus_publish(t->bus, topic, id, "", json_object());
}

static void rig_set(struct rig *t, const char *id, const char *status, const char *reason)
{
	json_object_set_new(t->instances, id,
			    json_pack("{s:s, s:s, s:s?, s:s, s:s, s:{s:i, s:i, s:i}}", "server_id", id, "status", status, "reason",
				      reason, "backend", "process", "isolation", "private", "sessions", "active", 1,
				      "disconnected", 0, "orphaned", 2));
}

static void agent_answer_start(struct rig *t, struct call *c)
{
	const char *id = doc_str(call_body(c), "server_id", "");
	const char *reason = t->reason;
	if (t->stranger && doc_int(call_body(c), "port", 0) == t->stranger)
		reason = "port_in_use";
	rig_set(t, id, reason ? "failed" : "running", reason);
	json_t *instance = json_incref(json_object_get(t->instances, id));
	const json_t *desktop = json_object_get(call_body(c), "desktop");
	json_object_set_new(instance, "desktop_limits",
			    json_pack("{s:I, s:I, s:b}", "idle_timeout", (json_int_t)doc_int(desktop, "idle_timeout", 0), "disconnected_timeout",
				      (json_int_t)doc_int(desktop, "disconnected_timeout", 0), "kill_disconnected",
				      doc_bool(desktop, "kill_disconnected", false)));
	if (reason)
		json_object_del(t->instances, id);
	call_ok(c, instance);
}

static void agent_start(struct call *c, void *arg)
{
	struct rig *t = arg;
	t->starts++;
	t->replaces += doc_bool(call_body(c), "replace", false);
	json_decref(t->last_spec);
	t->last_spec = json_incref(call_body(c));
	if (t->away || t->refuse_start)
		call_fail(c, t->away ? t->away : t->refuse_start, NULL);
	else if (t->hold)
		t->held = c;
	else
		agent_answer_start(t, c);
}

static void agent_list(struct call *c, void *arg)
{
	struct rig *t = arg;
	json_t *list = json_array(), *v;
	const char *key;
	json_object_foreach(t->instances, key, v)
		json_array_append(list, v);
	if (t->away) {
		json_decref(list);
		call_fail(c, t->away, NULL);
	} else {
		call_ok(c, json_pack("{s:o}", "instances", list));
	}
}

static void agent_get(struct call *c, void *arg)
{
	struct rig *t = arg;
	json_t *v = json_object_get(t->instances, call_param(c, "server_id"));
	if (t->away || !v)
		call_fail(c, t->away ? t->away : ERR_INSTANCE_NOT_FOUND, NULL);
	else
		call_ok(c, json_incref(v));
}

static void agent_limits(struct call *c, void *arg)
{
	struct rig *t = arg;
	json_t *v = json_object_get(t->instances, call_param(c, "server_id"));
	t->limits++;
	if (!t->away && v)
		json_object_set(v, "desktop_limits", call_body(c));
	if (t->away || !v)
		call_fail(c, t->away ? t->away : ERR_INSTANCE_NOT_FOUND, NULL);
	else
		call_ok(c, json_incref(call_body(c)));
}

static void agent_stop(struct call *c, void *arg)
{
	struct rig *t = arg;
	if (t->hold_stops) {
		t->held_stop = c;
		return;
	}
	const char *id = call_param(c, "server_id");
	json_t *live = json_object_get(t->desktops, id);
	t->stops++;
	t->removes += doc_bool(call_query(c), "remove", false);
	if (t->away) {
		call_fail(c, t->away, NULL);
	} else if (json_array_size(live) && !doc_bool(call_query(c), "force", false)) {
		call_fail_details(c, ERR_CONFLICT, json_pack("[{s:s, s:s}]", "field", "desktops", "message", "somebody"), NULL);
	} else {
		json_object_del(t->instances, id);
		json_object_del(t->desktops, id);
		call_ok(c, json_pack("{s:[]}", "ended"));
	}
}

static void agent_desktops(struct call *c, void *arg)
{
	struct rig *t = arg;
	json_t *live = json_object_get(t->desktops, call_param(c, "server_id"));
	if (t->away)
		call_fail(c, t->away, NULL);
	else
		call_ok(c, json_pack("{s:o}", "desktops", live ? json_incref(live) : json_array()));
}

static void agent_config(struct call *c, void *arg)
{
	if (((struct rig *)arg)->away)
		call_fail(c, ((struct rig *)arg)->away, NULL);
	else
		call_ok(c, json_pack("{s:s, s:s}", "xrdp_ini", "[Globals]\n", "sesman_ini", doc_str(call_body(c), "name", "")));
}

static void agent_logs(struct call *c, void *arg)
{
	if (((struct rig *)arg)->away)
		call_fail(c, ((struct rig *)arg)->away, NULL);
	else
		call_ok(c, json_pack("{s:[s]}", "lines", "one line"));
}

static void agent_ports(struct call *c, void *arg)
{
	struct rig *t = arg;
	json_t *blocked = json_array(), *port;
	size_t i;
	json_array_foreach(json_object_get(call_body(c), "ports"), i, port)
		if (json_integer_value(port) == t->stranger)
			json_array_append(blocked, port);
	call_ok(c, json_pack("{s:o}", "blocked", blocked));
}

/* Every account may log in, except those of `refused`. */
static void agent_account(struct call *c, void *arg)
{
	struct rig *t = arg;
	const char *name = doc_str(call_body(c), "name", "");
	const char *found = t->refused ? strstr(t->refused, name) : NULL;
	if (t->away)
		call_fail(c, t->away, NULL);
	else
		call_ok(c, json_pack("{s:s, s:b}", "name", name, "can_log_in", found == NULL));
}

static void agent_profiles(struct call *c, void *arg)
{
	struct rig *t = arg;
	t->profiles_asked++;
	if (t->away)
		call_fail(c, t->away, NULL);
	else
		call_ok(c, json_pack("{s:[{s:s, s:b}], s:s?}", "desktops", "name", "openbox", "installed", 1, "default_fault", t->default_fault));
}

static const struct {
	const char *op;
	call_handler fn;
} agent_rows[] = {
	{ "xrdp.instances.start", agent_start },       { "xrdp.instances.list", agent_list },
	{ "xrdp.instances.get", agent_get },	       { "xrdp.instances.stop", agent_stop },
	{ "xrdp.instances.desktops", agent_desktops }, { "xrdp.instances.config", agent_config },
	{ "xrdp.instances.logs", agent_logs },	       { "xrdp.ports.check", agent_ports },
	{ "xrdp.instances.limits", agent_limits },
	{ "xrdp.desktops", agent_profiles },	       { "xrdp.accounts.check", agent_account },
};

static void heard(const struct event *e, void *arg)
{
	struct rig *t = arg;
	size_t n = strlen(t->events);
	const char *status = doc_str(e->data, "status", "");
	snprintf(t->events + n, sizeof t->events - n, "%s%s%s ", e->topic, *status ? "=" : "", status);
}

static void rig_run_ms(struct rig *t, int ms)
{
	loop_rig_run_ms(t->loop, ms);
}

/* Runs the loop until the condition is true. */
#define RIG_UNTIL(t, what) LOOP_RIG_UNTIL((t)->loop, what, RIG_PATIENCE_MS, 3)

static struct manager *rig_manager(struct rig *t)
{
	return t->role;
}

/* Runs until nothing is in flight here or on the bus. */
static void rig_rest(struct rig *t)
{
	for (int i = 0; i < RIG_PATIENCE_MS / 5; i++) {
		rig_run_ms(t, 5);
		struct manager *m = rig_manager(t);
		if (m->objects->loaded && !m->objects->under_way && !bus_calls_open(t->bus) && nodes_find(t->nodes, "node-1"))
			return;
	}
	fail_msg("timed out waiting until nothing is in flight");
}

static struct transport *way(void *arg, const char *node, const char *url)
{
	return ((struct rig *)arg)->way;
}

static void no_end(void *arg, const char *node)
{
}

static void rig_cluster(struct rig *t)
{
	char id_path[112];
	snprintf(id_path, sizeof id_path, "%s/agent-id", t->dir);
	t->leases = leases_new(&(struct leases_env){ .loop = t->loop, .store = t->store, .holder = t->with ? "node-1/2" : "node-1/1",
						.shared = t->shared, .beat_ms = t->shared ? 40 : 0, .lost_ms = RIG_PATIENCE_MS });
	t->nodes = nodes_new(&(struct nodes_env){ .loop = t->loop, .bus = t->bus, .store = t->store, .node = "node-1",
						   .shared = t->shared, .agent_here = !t->with, .list_ms = 20,
						   .lost_ms = t->node_lost_ms ? t->node_lost_ms : RIG_PATIENCE_MS, .ways = { way, no_end, t } });
	t->presence = t->with ? NULL : presence_new(&(struct presence_env){ .loop = t->loop, .bus = t->bus, .store = t->store, .nodes = t->nodes,
							   .config = t->config, .node = "node-1", .host = "rdp.example.org",
							   .url = "", .id_path = id_path, .shared = t->shared, .beat_ms = 100 });
	leases_begin(t->leases);
	nodes_begin(t->nodes);
	if (t->presence)
		presence_begin(t->presence);
}

static void rig_start(struct rig *t)
{
	struct rig *with = t->with;
	struct store_options o = { .path = t->path, .queue_limit = t->queue_limit ? t->queue_limit : 4096, .timeout_ms = RIG_PATIENCE_MS };
	t->loop = with ? with->loop : loop_new();
	t->bus = bus_new(t->loop);
	bus_set_node(t->bus, "node-1");
	t->store = with ? with->store : store_open_embedded(t->loop, &o, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(agent_rows); i++)
		bus_serve(t->bus, op_find(agent_rows[i].op), agent_rows[i].fn, with ? with : t);
	t->sub = bus_subscribe(t->bus, "server.*", heard, t);
	t->events[0] = 0;
	rig_cluster(t);
	struct role_env env = { .loop = t->loop, .bus = t->bus, .store = t->store, .config = t->config, .node = "node-1",
				.nodes = t->nodes, .leases = t->leases };
	assert_int_equal(role_rdp_server_manager.init(&env, &t->role), 0);
	role_rdp_server_manager.start(t->role);
}

static void drained(void *arg)
{
	*(bool *)arg = true;
}

static void rig_stop(struct rig *t)
{
	bool done = false;
	role_rdp_server_manager.drain(t->role, drained, &done);
	for (int i = 0; i < RIG_PATIENCE_MS / 5 && !done; i++)
		rig_run_ms(t, 5);
	assert_true(done);
	role_rdp_server_manager.free(t->role); /* in the order of the program: nothing of it may be in flight any more */
	if (t->with)
		return; /* the rest is freed when the store is closed */
	store_close(t->store);
	presence_free(t->presence);
	for (size_t i = 0; i < ARRAY_LEN(t->others); i++)
		presence_free(TAKE_PTR(t->others[i]));
	for (struct rig *r = t; r; r = r == t ? t->joined : NULL) {
		nodes_free(r->nodes);
		leases_free(r->leases);
	}
	rig_run_ms(t, 5);
	for (struct rig *r = t; r; r = r == t ? t->joined : NULL) {
		bus_unsubscribe(r->sub);
		bus_free(r->bus);
	}
	loop_free(t->loop);
}

/* settings: NULL-ended "NAME=value", in addition to those that every test needs. */
static void rig_open(struct rig *t, const char *const *settings)
{
	static char *no_env[] = { NULL };
	static bool alone;
	/* in a network namespace, a real bind does not meet other processes of this host */
	if (!alone)
		alone = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
	const char *set[16] = { "PORT_RANGE_START=20000", "PORT_RANGE_END=20009", "NODE_PUBLIC_HOST=rdp.example.org",
				"MAX_CPU_USAGE=100", "MAX_MEMORY_USAGE=100" };
	size_t n = 5;
	for (; settings && *settings && n < 15; settings++)
		set[n++] = *settings;
	const char *none[] = { NULL };
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	t->config = config_load(options(), options_n(), &in, &faults, &warnings);
	if (!t->config)
		fail_msg("configuration: %s", faults.s);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	snprintf(t->dir, sizeof t->dir, "/tmp/lrdp-servers-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof t->path, "%s/store", t->dir);
	t->instances = json_object();
	t->desktops = json_object();
	rig_start(t);
	rig_rest(t);
}

static void rig_close(struct rig *t)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal", ".lock" };
	rig_stop(t);
	config_free(t->config);
	json_decref(t->instances);
	json_decref(t->desktops);
	json_decref(t->last_spec);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char path[128];
		snprintf(path, sizeof path, "%s%s", t->path, ends[i]);
		unlink(path);
	}
	char id_path[112];
	snprintf(id_path, sizeof id_path, "%s/agent-id", t->dir);
	unlink(id_path);
	rmdir(t->dir);
	metrics_reset();
}

static void answer_clear(struct answer *a)
{
	json_decref(a->doc);
	json_decref(a->details);
	blob_unref(a->blob);
	*a = (struct answer){ .rig = a->rig };
}

static void answered(const struct reply *r, void *arg)
{
	struct answer *a = arg;
	a->over = true;
	a->err = r->err;
	a->status = r->status;
	a->blob = blob_ref(r->blob);
	a->doc = r->doc ? json_incref(r->doc) : NULL;
	if (r->blob && !r->type)
		a->doc = doc_parse(r->blob->data, r->blob->len, NULL, 0);
	a->details = json_incref(r->details);
	a->version = r->version;
	str_copy(a->message, sizeof a->message, r->message ? r->message : "");
	str_copy(a->location, sizeof a->location, r->location ? r->location : "");
	str_copy(a->type, sizeof a->type, r->type ? r->type : "");
}

/* Begin a call; query and body are JSON texts with ' in place of ", or NULL. */
static void rig_ask(struct rig *t, struct answer *a, const struct caller *who, const char *op, const char *id, int64_t if_match,
		    const char *query, const char *body)
{
	json_t *docs[2] = { NULL, NULL };
	const char *texts[2] = { query, body };
	for (int i = 0; i < 2; i++) {
		if (!texts[i])
			continue;
		_cleanup_(xfreep) char *text = xstrdup(texts[i]);
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		docs[i] = doc_parse(text, strlen(text), NULL, 0);
		assert_non_null(docs[i]);
	}
	a->rig = t;
	answer_clear(a);
	struct call_args args = { .op = op_find(op), .caller = who, .params = { id }, .query = docs[0], .body = docs[1],
				  .if_match = if_match };
	assert_non_null(args.op);
	bus_call(t->bus, &args, answered, a);
	json_decref(docs[0]);
	json_decref(docs[1]);
}

static void rig_await(struct rig *t, struct answer *a)
{
	for (int i = 0; i < RIG_PATIENCE_MS / 2 && !a->over; i++)
		rig_run_ms(t, 2);
	assert_true(a->over);
}

static void rig_call(struct rig *t, struct answer *a, const struct caller *who, const char *op, const char *id,
		     const char *query, const char *body)
{
	rig_ask(t, a, who, op, id, 0, query, body);
	rig_await(t, a);
}

UNUSED static bool names_field(const struct answer *a, const char *field)
{
	json_t *row;
	size_t i;
	json_array_foreach(a->details, i, row)
		if (str_eq(doc_str(row, "field", ""), field))
			return true;
	return false;
}

/* Create a server of alice; id into dst. */
UNUSED static void rig_make(struct rig *t, char dst[ID_UUID_SIZE], const char *query, const char *body)
{
	struct answer a = { 0 };
	rig_call(t, &a, &alice, "rdp.servers.create", NULL, query, body);
	if (a.err)
		fail_msg("create: %s", a.message);
	assert_int_equal(a.status, 201);
	assert_true(str_copy(dst, ID_UUID_SIZE, doc_str(a.doc, "server_id", "")));
	answer_clear(&a);
}

UNUSED static const char *rig_status(struct rig *t, const char *id)
{
	static char status[64];
	struct answer a = { 0 };
	rig_call(t, &a, &admin, "rdp.servers.get", id, NULL, NULL);
	snprintf(status, sizeof status, "%s%s%s", a.err ? err_name(a.err) : doc_str(a.doc, "status", ""),
		 doc_str(a.doc, "status_reason", NULL) ? " " : "", doc_str(a.doc, "status_reason", ""));
	answer_clear(&a);
	return status;
}

struct wrote {
	bool over;
	enum store_result result;
};
static void rig_wrote(enum store_result result, size_t index, int err, void *arg)
{
	*(struct wrote *)arg = (struct wrote){ true, result };
}
UNUSED static enum store_result rig_write(struct rig *t, enum store_verb verb, enum store_collection col, const char *id, json_t *doc)
{
	struct wrote w = { 0 };
	struct store_op op = { verb, col, id, 0, doc };
	store_write(t->store, &op, 1, rig_wrote, &w);
	for (int i = 0; i < RIG_PATIENCE_MS / 2 && !w.over; i++)
		rig_run_ms(t, 2);
	json_decref(doc);
	assert_true(w.over);
	return w.result;
}

static void rig_counted(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	*(int64_t *)arg = total;
}
UNUSED static int64_t rig_count(struct rig *t, enum store_collection col)
{
	int64_t total = -2;
	struct store_query q = { .want_total = true };
	store_list(t->store, col, &q, rig_counted, &total);
	for (int i = 0; i < RIG_PATIENCE_MS / 2 && total == -2; i++)
		rig_run_ms(t, 2);
	return total;
}

/* Wait until the collection has this many documents, because claims are deleted after the answer. */
UNUSED static void rig_await_count(struct rig *t, enum store_collection col, int64_t want)
{
	int64_t seen = -1;
	for (int i = 0; i < RIG_PATIENCE_MS / 5 && (seen = rig_count(t, col)) != want; i++)
		rig_run_ms(t, 5);
	assert_int_equal(seen, want);
}

#endif
