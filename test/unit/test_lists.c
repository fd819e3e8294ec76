/* The current metrics: the answers of agents and server-manager merged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "app/settings/options.h"
#include "bus/transport.h"
#include "lucid/account.h"
#include "lucid/fanout.h"
#include "lucid/role.h"
#include "lucid/str.h"
#include "roles/contract/contract.h"
#include "test/lib/loop_rig.h"

#define ONE "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e11"
#define TWO "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e22"
#define IDLE "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e33"

extern const struct role role_rdp_resource_monitor;

static const struct caller admin = { .sub = "root", .roles = CALLER_ADMIN };
static const struct caller bert = { .sub = "bert", .roles = CALLER_USER };

struct bed {
	struct loop *loop;
	struct bus *bus;
	struct config *config;
	void *monitor;
	int away, manager_away; /* errors */
	unsigned lists, at_once, most, extra;
	/* what came back */
	bool over;
	enum err err;
	json_t *doc;
};

static const char *const owners[][2] = { { ONE, "anna@example.org" }, { TWO, "carl" }, { IDLE, "bert" } };

static void instances(struct call *c, void *arg)
{
	struct bed *t = arg;
	t->lists++;
	if (t->away) {
		call_fail(c, t->away, NULL);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(owners); i++)
		json_array_append_new(list, json_pack("{s:s, s:{s:i, s:i, s:i}}", "server_id", owners[i][0], "sessions", "active", i < 2,
						      "disconnected", 0, "orphaned", i == 1));
	call_ok(c, json_pack("{s:o}", "instances", list));
}

static void stats(struct call *c, void *arg)
{
	struct bed *t = arg;
	if (t->away) {
		call_fail(c, t->away, NULL);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(owners); i++)
		json_array_append_new(list, json_pack("{s:s, s:i, s:o?, s:n, s:i, s:i, s:{s:i, s:i, s:i}}", "server_id", owners[i][0],
						      "cpu_usec", 1000, "memory_bytes", i ? NULL : json_integer(4096), "tasks",
						      "bytes_in", 1, "bytes_out", 2, "sessions", "active", 1, "disconnected", 0,
						      "orphaned", 0));
	call_ok(c, json_pack("{s:{s:i, s:f}, s:o}", "host", "cores", 4, "cpu_percent", 12.5, "instances", list));
}

static void manager_get(struct call *c, void *arg)
{
	struct bed *t = arg;
	for (size_t i = 0; i < ARRAY_LEN(owners) && !t->manager_away; i++) {
		if (!str_eq(owners[i][0], call_param(c, "server_id")))
			continue;
		_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:s, s:s, s:s, s:s}", "server_id", owners[i][0], "user_id", owners[i][1],
							      "name", "n", "node", "node-1");
		call_ok_blob(c, doc_blob(doc), NULL); /* like the real one, from the store's cache */
		return;
	}
	call_fail(c, t->manager_away ? t->manager_away : ERR_SERVER_NOT_FOUND, NULL);
}

static void manager_list(struct call *c, void *arg)
{
	struct bed *t = arg;
	json_t *list = json_array();
	if (t->manager_away) {
		json_decref(list);
		call_fail(c, t->manager_away, NULL);
		return;
	}
	/* they are on the second page: all pages are read */
	bool first = doc_int(call_query(c), "page", 1) == 1;
	for (size_t i = 0; i < ARRAY_LEN(owners) && !first; i++)
		if (str_eq(owners[i][1], call_caller(c)->sub))
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "server_id", owners[i][0], "user_id", owners[i][1],
							      "name", "mine"));
	call_ok(c, json_pack("{s:o, s:{s:b}}", "servers", list, "pagination", "has_next", first));
}

static void bed_open(struct bed *t)
{
	static char *no_env[] = { NULL };
	const char *set[] = { "RDP_USER_MAP=anna@example.org=ann,dora=d0", NULL }, *none[] = { NULL };
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	*t = (struct bed){ .loop = loop_new() };
	t->bus = bus_new(t->loop);
	bus_set_node(t->bus, "node-1");
	t->config = config_load(options(), options_n(), &in, &faults, &warnings);
	assert_non_null(t->config);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	bus_serve(t->bus, op_find("xrdp.instances.list"), instances, t);
	bus_serve(t->bus, op_find("xrdp.stats"), stats, t);
	bus_serve(t->bus, op_find("rdp.servers.get"), manager_get, t);
	bus_serve(t->bus, op_find("rdp.servers.list"), manager_list, t);
	struct role_env env = { .loop = t->loop, .bus = t->bus, .config = t->config, .node = "node-1" };
	assert_int_equal(role_rdp_resource_monitor.init(&env, &t->monitor), 0);
}

static void drained(void *arg)
{
	++*(int *)arg;
}

static void bed_close(struct bed *t)
{
	int n = 0;
	role_rdp_resource_monitor.drain(t->monitor, drained, &n);
	assert_int_equal(n, 1);
	role_rdp_resource_monitor.free(t->monitor);
	assert_int_equal(bus_calls_open(t->bus), 0);
	json_decref(t->doc);
	bus_free(t->bus);
	config_free(t->config);
	loop_free(t->loop);
}

static void answered(const struct reply *r, void *arg)
{
	struct bed *t = arg;
	t->over = true;
	t->err = r->err;
	json_decref(t->doc);
	t->doc = json_incref(r->doc);
	loop_stop(t->loop);
}

static void ask(struct bed *t, const struct caller *who, const char *op, const char *query)
{
	_cleanup_(doc_unrefp) json_t *q = query ? json_loads(query, 0, NULL) : NULL;
	struct call_args a = { .op = op_find(op), .caller = who, .query = q };
	t->over = false;
	bus_call(t->bus, &a, answered, t);
	if (!t->over)
		loop_run(t->loop);
}

static void test_account_user(void **state)
{
	const char *const map[] = { "anna@example.org=ann", "x=y=z", "dora=d0", NULL };
	char user[CALLER_NAME_MAX + 1];
	static const char *const want[][2] = { { "ann", "anna@example.org" }, { "z", "x=y" }, { "d0", "dora" }, { "dora", "" }, { "emil", "emil" } };
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		account_user(map, want[i][0], user);
		assert_string_equal(user, want[i][1]);
	}
	account_user(NULL, "emil", user);
	assert_string_equal(user, "emil");
}

static void test_away(void **state)
{
	struct bed t;
	bed_open(&t);
	t.away = ERR_UNAVAILABLE;
	ask(&t, &admin, "resources.usage", NULL);
	assert_int_equal(t.err, 0);
	assert_int_equal(json_array_size(json_object_get(t.doc, "nodes")), 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(t.doc, "unreachable"), 0)), "node-1");
	bed_close(&t);
}

static void test_usage(void **state)
{
	struct bed t;
	bed_open(&t);
	ask(&t, &admin, "resources.usage", NULL);
	const json_t *host = json_array_get(json_object_get(t.doc, "nodes"), 0), *totals = json_object_get(t.doc, "totals");
	assert_string_equal(doc_str(host, "node", ""), "node-1");
	assert_int_equal(doc_int(host, "servers", 0), 3);
	assert_int_equal(json_array_size(json_object_get(t.doc, "servers")), 3);
	assert_string_equal(doc_str(json_array_get(json_object_get(t.doc, "servers"), 1), "user_id", ""), "carl");
	assert_string_equal(doc_str(json_array_get(json_object_get(t.doc, "servers"), 1), "name", ""), "n");
	assert_int_equal(doc_int(totals, "servers", 0), 3);
	assert_int_equal(doc_int(totals, "cpu_usec", 0), 3000);
	assert_int_equal(doc_int(totals, "memory_bytes", 0), 4096); /* the sum of the known ones */
	assert_true(json_is_null(json_object_get(totals, "tasks")));
	assert_int_equal(doc_int(json_object_get(totals, "sessions"), "active", 0), 3);

	ask(&t, &bert, "resources.usage", NULL);
	assert_null(json_object_get(t.doc, "nodes"));
	assert_int_equal(json_array_size(json_object_get(t.doc, "servers")), 1);
	assert_string_equal(doc_str(json_array_get(json_object_get(t.doc, "servers"), 0), "name", ""), "mine");

	t.manager_away = ERR_UNAVAILABLE;
	ask(&t, &bert, "resources.usage", NULL);
	assert_int_equal(t.err, ERR_UNAVAILABLE);
	ask(&t, &admin, "resources.usage", NULL); /* metrics without names are valid */
	assert_int_equal(json_array_size(json_object_get(t.doc, "servers")), 3);
	assert_true(json_is_null(json_object_get(json_array_get(json_object_get(t.doc, "servers"), 0), "name")));
	bed_close(&t);
}

/* --- the bound on concurrent calls */

struct late {
	struct loop_timer *timer;
	struct bed *bed;
	struct call *call;
};

static void later(void *arg)
{
	struct late *w = arg;
	w->bed->at_once--;
	loop_timer_free(w->timer);
	call_ok(w->call, json_object());
	free(w);
}

static void slow(struct call *c, void *arg)
{
	struct bed *t = arg;
	t->at_once++;
	t->most = MAX(t->most, t->at_once);
	struct late *w = XNEW(struct late);
	*w = (struct late){ NULL, t, c };
	w->timer = loop_timer_new(t->loop, later, w);
	loop_timer_set(w->timer, 1);
}

struct crowd {
	struct bed *bed;
	struct fanout *f;
	struct call *call;
	unsigned replies, refused;
	size_t missed;
};

static void one_back(const char *node, const char *param, const struct reply *r, void *arg)
{
	struct crowd *w = arg;
	w->replies++;
	w->refused += r->err != 0;
	if (r->err)
		fanout_miss(w->f, node);
}

static void crowd_done(void *arg)
{
	struct crowd *w = arg;
	_cleanup_(doc_unrefp) json_t *missed = fanout_missed(w->f);
	w->missed = json_array_size(missed);
	call_ok(w->call, NULL);
}

static void crowd(struct call *c, void *arg)
{
	struct crowd *w = arg;
	w->call = c;
	w->f = fanout_new(w->bed->bus, c, crowd_done, w);
	for (unsigned i = 0; i < w->bed->extra; i++)
		fanout_ask(w->f, op_find("xrdp.info"), "node-1", NULL, NULL, one_back);
	fanout_go(w->f);
}

static void run_crowd(struct bed *t, struct crowd *w, unsigned n, unsigned deadline_ms)
{
	*w = (struct crowd){ .bed = t };
	*t = (struct bed){ .loop = loop_new(), .extra = n };
	t->bus = bus_new(t->loop);
	bus_set_node(t->bus, "node-1");
	bus_serve(t->bus, op_find("xrdp.info"), slow, t);
	bus_serve(t->bus, op_find("rdp.nodes.list"), crowd, w);
	struct call_args a = { .op = op_find("rdp.nodes.list"), .caller = &admin, .deadline_ms = deadline_ms };
	bus_call(t->bus, &a, answered, t);
	loop_run(t->loop);
	while (t->at_once) /* those that were late answer as well */
		loop_rig_run_ms(t->loop, 2);
	bus_free(t->bus);
	loop_free(t->loop);
	json_decref(t->doc);
}

static void test_at_once(void **state)
{
	struct bed t;
	struct crowd w;
	run_crowd(&t, &w, 100, 30000);
	assert_int_equal(w.replies, 100);
	assert_int_equal(w.refused, 0);
	assert_int_equal(t.most, FANOUT_AT_ONCE);
	run_crowd(&t, &w, 0, 30000); /* without any node there is an answer too */
	assert_int_equal(w.replies, 0);
	assert_true(t.over);
	/* nodes beyond the bound are not called, and are named */
	run_crowd(&t, &w, FANOUT_MAX + 5, 600000);
	assert_int_equal(w.missed, 1);
}

static void test_deadline(void **state)
{
	struct bed t;
	struct crowd w;
	run_crowd(&t, &w, 200, 501); /* a millisecond is left for it */
	assert_int_equal(w.replies, 200);
	assert_true(w.refused > 0);
	assert_int_equal(w.missed, 1);
	assert_true(t.over && !t.err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account_user), cmocka_unit_test(test_away),     cmocka_unit_test(test_usage),
		cmocka_unit_test(test_at_once),	     cmocka_unit_test(test_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
