/* One or two session controllers on a real bus and a real embedded store, with an agent and a server manager that the test controls. For
 * test_sessions_*.c. */
#ifndef SESSIONS_RIG_H
#define SESSIONS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "app/settings/options.h"
#include "bus/transport.h"
#include "cluster/presence.h"
#include "lease/leases.h"
#include "lucid/clock.h"
#include "lucid/role.h"
#include "lucid/str.h"
#include "object/set.h"
#include "roles/rdp-session-controller/session/session.h"
#include "store/open.h"
#include "test/lib/loop_rig.h"

extern const struct role role_rdp_session_controller;

#define PATIENCE_MS 60000
#define ONE "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e11"
#define TWO "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e22"
#define EARLY "2026-01-01T00:00:00.000Z"
#define LATER "2026-01-02T00:00:00.000Z"

static const struct caller admin = { .sub = "root", .roles = CALLER_ADMIN, .can_create_sessions = true };
static const struct caller anna = { .sub = "anna", .roles = CALLER_USER, .can_create_sessions = true };
UNUSED static const struct caller bert = { .sub = "bert", .roles = CALLER_USER, .can_create_sessions = true };

struct rig;
struct side {
	struct rig *rig;
	struct bus *bus;
	struct nodes *nodes;
	struct leases *leases;
	struct presence *presence; /* of the first side only */
	struct transport other;	   /* carries events to the other side */
	struct subscription *sub;
	void *role; /* NULL: it has stopped */
	char events[4096];
};
struct rig {
	struct loop *loop;
	struct store *store;
	struct config *config;
	struct side side[2];
	size_t n;
	bool shared;
	struct side *front; /* the controller that tests ask */
	char dir[64], path[96];
	json_t *desktops;    /* server id → array */
	json_t *connections; /* server id → array */
	json_t *owners;	     /* server id → user */
	json_t *quotas;	     /* that the agent was told last; NULL: none */
	unsigned told;
	int64_t server_max;  /* desktop.max_sessions of all servers */
	int away;	     /* error that the agent answers with; 0: none */
	int end_error;	     /* the same, after it has ended the desktop */
	int message_error;   /* error that a message is answered with */
	int message_takes_ms; /* by how much each message shifts the clocks */
	unsigned ends, cuts, listed, messages;
	char said[256]; /* text and level of the last message */
	unsigned limits_set;
	int limits_error; /* the answer to limits; 0: they are taken */
	bool end_keeps; /* with end_error: the desktop lives on */
	bool hold;	   /* the next listing of desktops is answered by rig_release */
	struct call *held;
};
struct answer {
	bool over;
	enum err err;
	int status;
	json_t *doc;
	char message[300];
	char details[1000]; /* as text; "": none */
};

/* --- the agent and the manager */

static json_t *rig_desktops(struct rig *t, const char *id)
{
	json_t *list = json_object_get(t->desktops, id);
	if (!list)
		json_object_set_new(t->desktops, id, list = json_array());
	return list;
}

static void rig_agent_list(struct call *c, void *arg)
{
	struct rig *t = arg;
	json_t *list = json_array(), *v;
	const char *id;
	if (t->away) {
		json_decref(list);
		call_fail(c, t->away, NULL);
		return;
	}
	json_object_foreach(t->desktops, id, v)
		json_array_append_new(list, json_pack("{s:s, s:s, s:{s:i, s:i, s:i}}", "server_id", id, "status", "running", "sessions", "active",
						      (int)json_array_size(v), "disconnected", 0, "orphaned", 0));
	call_ok(c, json_pack("{s:o}", "instances", list));
}

static void rig_agent_desktops(struct call *c, void *arg)
{
	struct rig *t = arg;
	t->listed++;
	if (t->hold && !t->held)
		t->held = c;
	else if (t->away)
		call_fail(c, t->away, NULL);
	else
		call_ok(c, json_pack("{s:o}", "desktops", json_deep_copy(rig_desktops(t, call_param(c, "server_id")))));
}

UNUSED static void rig_release(struct rig *t)
{
	t->hold = false;
	rig_agent_desktops(TAKE_PTR(t->held), t);
}

static json_t *rig_take_desktop(struct rig *t, const char *id, int display)
{
	json_t *list = rig_desktops(t, id);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *d = json_array_get(list, i);
		if (doc_int(d, "display", 0) != display)
			continue;
		json_incref(d);
		if (!t->end_keeps)
			json_array_remove(list, i);
		return d;
	}
	return NULL;
}

static void rig_agent_end(struct call *c, void *arg)
{
	struct rig *t = arg;
	_cleanup_(doc_unrefp) json_t *d = NULL;
	if (t->away) {
		call_fail(c, t->away, NULL);
		return;
	}
	t->ends++;
	d = rig_take_desktop(t, call_param(c, "server_id"), atoi(call_param(c, "display")));
	if (t->end_error || !d)
		call_fail(c, t->end_error ? t->end_error : ERR_INSTANCE_NOT_FOUND, NULL);
	else
		call_ok(c, json_pack("{s:O, s:i, s:i}", "ended", d, "processes", 3, "forced", 1));
}

/* Like the real one, it shows nothing on another desktop than that which the message is for. */
static void rig_agent_message(struct call *c, void *arg)
{
	struct rig *t = arg;
	json_t *d, *body = call_body(c);
	size_t i;
	bool there = false;
	json_array_foreach(rig_desktops(t, call_param(c, "server_id")), i, d)
		there |= doc_int(d, "display", 0) == atoi(call_param(c, "display")) &&
			 str_eq(doc_str(d, "started_at", ""), doc_str(body, "started_at", "")) && str_eq(doc_str(d, "username", ""), doc_str(body, "username", ""));
	if (t->message_error || !there) {
		call_fail(c, t->message_error ? t->message_error : ERR_INSTANCE_NOT_FOUND, NULL);
		return;
	}
	t->messages++;
	clock_shift_ms(t->message_takes_ms);
	snprintf(t->said, sizeof t->said, "%s %s", doc_str(body, "text", ""), doc_str(body, "level", "-"));
	call_ok(c, json_pack("{s:i, s:s, s:s, s:i}", "display", atoi(call_param(c, "display")), "shown_at", EARLY, "closes_at", LATER, "missing_characters", 0));
}

static void rig_agent_connections(struct call *c, void *arg)
{
	json_t *list = json_object_get(((struct rig *)arg)->connections, call_param(c, "server_id"));
	call_ok(c, json_pack("{s:o}", "connections", list ? json_incref(list) : json_array()));
}

static void rig_agent_cut(struct call *c, void *arg)
{
	((struct rig *)arg)->cuts++;
	call_ok(c, json_pack("{s:{s:s}}", "cut", "id", call_param(c, "id")));
}

static void rig_agent_quotas(struct call *c, void *arg)
{
	struct rig *t = arg;
	if (t->away) {
		call_fail(c, t->away, NULL);
		return;
	}
	t->told++;
	json_decref(t->quotas);
	t->quotas = json_deep_copy(call_body(c));
	call_ok(c, json_pack("{s:i}", "valid_seconds", 60));
}

static void rig_agent_limits(struct call *c, void *arg)
{
	static const char *const members[] = { "idle_timeout", "max_duration", "disconnected_timeout" };
	struct rig *t = arg;
	json_t *d, *limits = json_object();
	size_t i;
	t->limits_set++;
	for (size_t k = 0; k < ARRAY_LEN(members); k++)
		doc_set_int(limits, members[k], doc_int(call_body(c), members[k], -1));
	json_array_foreach(t->limits_error ? NULL : rig_desktops(t, call_param(c, "server_id")), i, d)
		if (doc_int(d, "display", 0) == atoi(call_param(c, "display")) &&
		    str_eq(doc_str(d, "started_at", ""), doc_str(call_body(c), "started_at", "")))
			doc_set(d, "limits", json_copy(limits));
	if (t->limits_error)
		call_fail(c, t->limits_error, NULL);
	else
		call_ok(c, json_incref(limits));
	json_decref(limits);
}

static void rig_manager_get(struct call *c, void *arg)
{
	const char *id = call_param(c, "server_id"), *owner = doc_str(((struct rig *)arg)->owners, id, NULL);
	if (!owner || !object_visible(call_caller(c), owner)) {
		call_fail(c, ERR_SERVER_NOT_FOUND, NULL);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:{s:I}}", "server_id", id, "user_id", owner, "name", "n", "node", "node-1",
						     "desktop", "max_sessions", (json_int_t)((struct rig *)arg)->server_max);
	call_ok_blob(c, doc_blob(doc), NULL); /* like the real one, from the store's cache */
}

static const struct {
	const char *op;
	call_handler fn;
} rig_rows[] = {
	{ "xrdp.instances.list", rig_agent_list },		{ "xrdp.instances.desktops", rig_agent_desktops },
	{ "xrdp.instances.desktops.end", rig_agent_end },	{ "xrdp.instances.connections", rig_agent_connections },
	{ "xrdp.instances.connections.cut", rig_agent_cut },	{ "rdp.servers.get", rig_manager_get },
	{ "xrdp.instances.desktops.message", rig_agent_message },
	{ "xrdp.quotas", rig_agent_quotas },
	{ "xrdp.instances.desktops.limits", rig_agent_limits },
};

/* Serves further operations of the agent; set before rig_open. */
static void (*rig_serve_more)(struct bus *b);

/* --- what happens on the host */

static void rig_event(struct rig *t, const char *topic, const char *id, json_t *consume)
{
	bus_publish(t->front->bus, topic, id, "", consume);
}

/* A desktop appears, or changes to this status. conn NULL: no client. No event. */
static json_t *rig_desktop_is(struct rig *t, const char *id, const char *account, int display, const char *started, const char *status, const char *conn)
{
	json_t *list = rig_desktops(t, id), *d = NULL, *each;
	size_t i;
	json_array_foreach(list, i, each)
		if (doc_int(each, "display", 0) == display)
			d = each;
	if (!d)
		json_array_append_new(list, d = json_object());
	doc_set_int(d, "display", display);
	doc_set_str(d, "server_id", id);
	doc_set_str(d, "username", account);
	doc_set_str(d, "status", status);
	doc_set_str(d, "started_at", started);
	doc_set_str(d, "client_address", conn ? "10.0.0.9" : NULL);
	doc_set_str(d, "connection_id", conn);
	return d;
}

/* The same, with an event. */
UNUSED static void rig_desktop(struct rig *t, const char *id, const char *account, int display, const char *started, const char *status, const char *conn)
{
	json_t *d = rig_desktop_is(t, id, account, display, started, status, conn);
	rig_event(t, "xrdp.connection.opened", id, json_deep_copy(d));
}

UNUSED static void rig_desktop_ends(struct rig *t, const char *id, int display, const char *reason)
{
	json_t *d = rig_take_desktop(t, id, display);
	assert_non_null(d);
	doc_set_str(d, "reason", reason);
	rig_event(t, "xrdp.desktop.ended", id, d);
}

/* --- the rig */

#define RIG_UNTIL(t, what) LOOP_RIG_UNTIL((t)->loop, what, PATIENCE_MS, 3)

static void rig_heard(const struct event *e, void *arg)
{
	struct side *s = arg;
	size_t n = strlen(s->events);
	if (!*e->origin)
		snprintf(s->events + n, sizeof s->events - n, "%s ", e->topic + strlen("session."));
}

static void rig_carry(struct transport *tr, const struct event *e)
{
	struct side *from = CONTAINER_OF(tr, struct side, other);
	struct side *to = &from->rig->side[from == &from->rig->side[0]];
	struct event copy = *e;
	copy.origin = bus_origin(from->bus);
	if (to->bus)
		bus_deliver_foreign(to->bus, &copy, json_incref(e->data));
}

static struct transport *rig_way(void *arg, const char *node, const char *url)
{
	return NULL;
}
static void rig_no_end(void *arg, const char *node)
{
}

static struct controller *side_controller(struct side *s)
{
	return s->role;
}

static void side_begin(struct side *s)
{
	struct rig *t = s->rig;
	struct role_env env = { .loop = t->loop, .bus = s->bus, .store = t->store, .config = t->config, .node = "node-1", .nodes = s->nodes,
				.leases = s->leases };
	assert_int_equal(role_rdp_session_controller.init(&env, &s->role), 0);
	role_rdp_session_controller.start(s->role);
	RIG_UNTIL(t, side_controller(s)->objects->loaded);
}

static void side_open(struct rig *t, size_t i)
{
	struct side *s = &t->side[i];
	bool shared = t->shared;
	char id_path[112];
	snprintf(id_path, sizeof id_path, "%s/agent-id", t->dir);
	s->rig = t;
	s->bus = bus_new(t->loop);
	bus_set_node(s->bus, "node-1");
	for (size_t k = 0; k < ARRAY_LEN(rig_rows); k++)
		bus_serve(s->bus, op_find(rig_rows[k].op), rig_rows[k].fn, t);
	if (rig_serve_more)
		rig_serve_more(s->bus);
	s->sub = bus_subscribe(s->bus, "session.*", rig_heard, s);
	s->leases = leases_new(&(struct leases_env){ .loop = t->loop, .store = t->store, .holder = i ? "node-1/2" : "node-1/1", .shared = shared,
						     .beat_ms = shared ? 40 : 0, .lost_ms = PATIENCE_MS });
	s->nodes = nodes_new(&(struct nodes_env){ .loop = t->loop, .bus = s->bus, .store = t->store, .node = "node-1", .shared = shared,
						   .agent_here = !i, .list_ms = 20, .lost_ms = PATIENCE_MS, .ways = { rig_way, rig_no_end, t } });
	s->presence = i ? NULL : presence_new(&(struct presence_env){ .loop = t->loop, .bus = s->bus, .store = t->store, .nodes = s->nodes,
						    .config = t->config, .node = "node-1", .host = "rdp.example.org", .url = "",
						    .id_path = id_path, .shared = shared, .beat_ms = 100 });
	leases_begin(s->leases);
	nodes_begin(s->nodes);
	if (s->presence)
		presence_begin(s->presence);
	s->other = (struct transport){ .name = "other", .publish = rig_carry };
	if (shared)
		bus_carry_events(s->bus, &s->other);
	side_begin(s);
	if (shared)
		side_controller(s)->objects->scan_ms = 50;
}

static void rig_drained(void *arg)
{
	*(bool *)arg = true;
}

/* The controller ends; its process would, too. */
static void side_end(struct side *s)
{
	bool done = false;
	role_rdp_session_controller.drain(s->role, rig_drained, &done);
	RIG_UNTIL(s->rig, done);
	role_rdp_session_controller.free(TAKE_PTR(s->role));
}

static void rig_open(struct rig *t, size_t n, const char *const *settings)
{
	static char *no_env[] = { NULL };
	const char *set[16] = { "RDP_USER_MAP=anna=ann,dora=d0" }, *none[] = { NULL };
	for (size_t i = 0; settings && settings[i]; i++)
		set[i + 1] = settings[i];
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	*t = (struct rig){ .n = n, .shared = n > 1, .front = &t->side[0], .server_max = 10 };
	t->config = config_load(options(), options_n(), &in, &faults, &warnings);
	if (!t->config)
		fail_msg("configuration: %s", faults.s);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	snprintf(t->dir, sizeof t->dir, "/tmp/lrdp-sessions-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof t->path, "%s/store", t->dir);
	struct store_options o = { .path = t->path, .queue_limit = 4096, .timeout_ms = PATIENCE_MS };
	t->loop = loop_new();
	t->store = store_open_embedded(t->loop, &o, NULL, NULL);
	t->desktops = json_object();
	t->connections = json_object();
	t->owners = json_pack("{s:s, s:s}", ONE, "anna", TWO, "carl");
	for (size_t i = 0; i < n; i++)
		side_open(t, i);
}

static void rig_close(struct rig *t)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal", ".lock" };
	for (size_t i = 0; i < t->n; i++)
		if (t->side[i].role)
			side_end(&t->side[i]);
	store_close(t->store);
	for (size_t i = 0; i < t->n; i++) {
		presence_free(t->side[i].presence);
		nodes_free(t->side[i].nodes);
		leases_free(t->side[i].leases);
	}
	loop_rig_run_ms(t->loop, 5);
	for (size_t i = 0; i < t->n; i++) {
		bus_carry_events(t->side[i].bus, NULL);
		bus_unsubscribe(t->side[i].sub);
		bus_free(t->side[i].bus);
	}
	loop_free(t->loop);
	config_free(t->config);
	json_decref(t->desktops);
	json_decref(t->connections);
	json_decref(t->owners);
	json_decref(t->quotas);
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

/* Another process takes the place of the one that ended, on the same store. */
UNUSED static void rig_restart(struct rig *t)
{
	side_end(&t->side[0]);
	t->n = 2;
	t->front = &t->side[1];
	side_open(t, 1);
}

/* --- calls */

static void rig_answered(const struct reply *r, void *arg)
{
	struct answer *a = arg;
	a->over = true;
	a->err = r->err;
	a->status = r->status;
	a->doc = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : json_incref(r->doc);
	str_copy(a->message, sizeof a->message, r->message ? r->message : "");
	_cleanup_(xfreep) char *details = r->details ? doc_text(r->details) : NULL;
	str_copy(a->details, sizeof a->details, details ? details : "");
}

/* Query and body are JSON texts with ' in place of ", or NULL. The document is replaced at the next call with the same answer. */
static void side_call(struct side *s, struct answer *a, const struct caller *who, const char *op, const char *id, const char *query, const char *body)
{
	const char *texts[2] = { query, body };
	json_t *docs[2] = { NULL, NULL };
	for (int i = 0; i < 2; i++) {
		_cleanup_(xfreep) char *text = xstrdup(texts[i] ? texts[i] : "");
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		docs[i] = texts[i] ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	}
	json_decref(a->doc);
	*a = (struct answer){ 0 };
	struct call_args args = { .op = op_find(op), .caller = who, .params = { id }, .query = docs[0], .body = docs[1] };
	assert_non_null(args.op);
	bus_call(s->bus, &args, rig_answered, a);
	json_decref(docs[0]);
	json_decref(docs[1]);
	RIG_UNTIL(s->rig, a->over);
}

/* "active 10, disconnected 11": the sessions that the caller sees, in the order of their displays and creation; with their reasons. */
UNUSED static const char *side_shown(struct side *s, const struct caller *who)
{
	static char text[1000];
	struct answer a = { 0 };
	struct strbuf b = { 0 };
	json_t *each;
	size_t i;
	side_call(s, &a, who, "sessions.list", NULL, "{'sort':'created_at','limit':100}", NULL);
	assert_int_equal(a.err, 0);
	json_array_foreach(json_object_get(a.doc, "sessions"), i, each)
	{
		const char *reason = doc_str(each, "status_reason", NULL);
		strbuf_printf(&b, "%s%s %lld%s%s", i ? ", " : "", doc_str(each, "status", ""), (long long)doc_int(each, "display", 0), reason ? " " : "",
			      reason ? reason : "");
	}
	json_decref(a.doc);
	str_copy(text, sizeof text, b.s ? b.s : "");
	strbuf_done(&b);
	return text;
}

#define SHOWN(t, text) RIG_UNTIL(t, str_eq(side_shown((t)->front, &admin), text))

/* The n-th session of the list, in the order of creation; its id into dst. */
UNUSED static void rig_id(struct rig *t, size_t n, char dst[SESSION_ID_SIZE])
{
	struct answer a = { 0 };
	side_call(t->front, &a, &admin, "sessions.list", NULL, "{'sort':'created_at','limit':100}", NULL);
	assert_true(str_copy(dst, SESSION_ID_SIZE, doc_str(json_array_get(json_object_get(a.doc, "sessions"), n), "session_id", "")));
	json_decref(a.doc);
}

/* A member of a session as text, "null" if it is. */
UNUSED static const char *rig_member(struct rig *t, const char *id, const char *path)
{
	static char text[200];
	struct answer a = { 0 };
	side_call(t->front, &a, &admin, "sessions.get", id, NULL, NULL);
	_cleanup_(xfreep) char *value = a.err ? xstrdup(err_name(a.err)) : doc_text(doc_get(a.doc, path));
	str_copy(text, sizeof text, value);
	json_decref(a.doc);
	return text;
}

#endif
