/* rdp-server-manager: servers on several nodes. The agent of the second host is the agent of another rig, behind a transport. */
#include "servers_rig.h"

#include "roles/rdp-server-manager/node/node_alerts.h"

static struct rig t, far; /* of `far` only the agent is used */
static struct presence *beat;
static char far_id[112];

static void far_send(UNUSED struct transport *way, struct call *c)
{
	for (size_t i = 0; i < ARRAY_LEN(agent_rows); i++) {
		if (call_op(c) == op_find(agent_rows[i].op)) {
			agent_rows[i].fn(c, &far);
			return;
		}
	}
	call_fail(c, ERR_UNAVAILABLE, NULL);
}

static struct transport far_way = { .name = "rest", .send = far_send };

static bool far_is(enum node_status status)
{
	const struct node_info *info = nodes_find(t.nodes, "node-2");
	return info && info->status == status;
}

#define UNTIL(what) RIG_UNTIL(&t, what)

static void far_begin(void)
{
	snprintf(far_id, sizeof far_id, "%s/far-id", t.dir);
	beat = presence_new(&(struct presence_env){ .loop = t.loop, .bus = t.bus, .store = t.store, .nodes = t.nodes, .config = t.config,
						    .node = "node-2", .host = "two.example.org", .url = "http://two:1",
						    .id_path = far_id, .shared = true, .beat_ms = 100 });
	size_t n = 0;
	while (t.others[n])
		n++;
	assert_true(n < ARRAY_LEN(t.others));
	t.others[n] = beat;
	presence_begin(beat);
	UNTIL(far_is(NODE_READY));
}

static int up_with(unsigned node_lost_ms)
{
	memset(&t, 0, sizeof t);
	memset(&far, 0, sizeof far);
	t.shared = true;
	t.node_lost_ms = node_lost_ms;
	t.way = &far_way;
	far.instances = json_object();
	far.desktops = json_object();
	rig_open(&t, NULL);
	far_begin();
	return 0;
}

static int up(UNUSED void **state)
{
	return up_with(0);
}

/* Nodes are reported as silent soon. */
static int up_hasty(UNUSED void **state)
{
	return up_with(2000);
}

static int down(UNUSED void **state)
{
	presence_stop(beat);
	unlink(far_id);
	rig_close(&t);
	json_decref(far.instances);
	json_decref(far.desktops);
	json_decref(far.last_spec);
	return 0;
}

/* Creates a server; its id, and its node in the answer. */
static const char *make(const char *body, char id[ID_UUID_SIZE])
{
	static char node[64];
	struct answer a = { 0 };
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, "{'wait':true}", body);
	if (a.err)
		fail_msg("create: %s", a.message);
	assert_true(str_copy(id, ID_UUID_SIZE, doc_str(a.doc, "server_id", "")));
	assert_true(str_copy(node, sizeof node, doc_str(a.doc, "node", "")));
	answer_clear(&a);
	return node;
}

static void test_named_node(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	struct answer a = { 0 };
	assert_string_equal(make("{'name':'there','node':'node-2'}", id), "node-2");
	assert_int_equal(far.starts, 1);
	assert_int_equal(t.starts, 0);
	assert_non_null(json_object_get(far.instances, id));
	rig_call(&t, &a, &admin, "rdp.servers.get", id, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "host", ""), "two.example.org");
	assert_string_equal(doc_str(a.doc, "status", ""), "running");
	rig_call(&t, &a, &admin, "rdp.servers.connection", id, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "host", ""), "two.example.org");
	rig_call(&t, &a, &admin, "rdp.servers.list", NULL, NULL, NULL); /* live counts come from that node */
	assert_int_equal(doc_int(doc_get(json_array_get(doc_get(a.doc, "servers"), 0), "sessions"), "active", 0), 1);
	rig_call(&t, &a, &admin, "rdp.servers.stop", id, "{'wait':true}", NULL);
	assert_int_equal(a.err, ERR_OK);
	assert_int_equal(far.stops, 1);
	rig_call(&t, &a, &admin, "rdp.servers.delete", id, NULL, NULL);
	assert_int_equal(a.status, 204);
	assert_int_equal(far.removes, 1);
	assert_int_equal(t.stops, 0);
	answer_clear(&a);
}

/* Only the profiles of the manager's own node are known; they do not restrict servers on other nodes. */
static void test_profiles_are_of_this_node(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	struct answer a = { 0 };
	t.default_fault = "no desktop is installed on this host";
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'kde','node':'node-1','desktop':{'profile':'kde'}}");
	assert_true(names_field(&a, "desktop.profile"));
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'here','node':'node-1'}");
	assert_true(names_field(&a, "desktop.profile"));
	assert_string_equal(make("{'name':'there','node':'node-2'}", id), "node-2");
	assert_string_equal(make("{'name':'kde','node':'node-2','desktop':{'profile':'kde'}}", id), "node-2");
	rig_call(&t, &a, &admin, "rdp.servers.patch", id, NULL, "{'desktop':{'profile':null}}");
	assert_int_equal(a.err, 0);
	t.default_fault = NULL;
	answer_clear(&a);
}

/* The ports of one node are independent of those of another. */
static void test_same_port_twice(UNUSED void **state)
{
	char one[ID_UUID_SIZE], two[ID_UUID_SIZE];
	struct answer a = { 0 };
	make("{'name':'one','node':'node-1','port':20004}", one);
	make("{'name':'two','node':'node-2','port':20004}", two);
	assert_int_equal(rig_count(&t, COL_PORTS), 2);
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'three','node':'node-2','port':20004}");
	assert_int_equal(a.err, ERR_CONFLICT);
	rig_call(&t, &a, &admin, "rdp.ports.list", NULL, "{'node':'node-2','status':'allocated'}", NULL);
	assert_string_equal(doc_str(a.doc, "node", ""), "node-2");
	assert_int_equal(json_array_size(doc_get(a.doc, "ports")), 1);
	assert_string_equal(doc_str(json_array_get(doc_get(a.doc, "ports"), 0), "server_id", ""), two);
	rig_call(&t, &a, &admin, "rdp.ports.list", NULL, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "node", ""), "node-1");
	rig_call(&t, &a, &admin, "rdp.ports.list", NULL, "{'node':'nowhere'}", NULL);
	assert_true(names_field(&a, "node"));
	answer_clear(&a);
}

/* The agent of the node checks whether a port is free there, before it is assigned. */
static void test_stranger_there(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	struct answer a = { 0 };
	far.stranger = 20000;
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'no','node':'node-2','port':20000,'auto_start':false}");
	assert_int_equal(a.err, ERR_CONFLICT);
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'yes','node':'node-2','auto_start':false}");
	assert_int_equal(a.status, 201);
	assert_int_equal(doc_int(a.doc, "port", 0), 20001);
	make("{'name':'here','node':'node-1','port':20000}", id);
	rig_call(&t, &a, &admin, "rdp.ports.list", NULL, "{'node':'node-2','status':'blocked'}", NULL);
	assert_int_equal(doc_int(json_array_get(doc_get(a.doc, "ports"), 0), "port", 0), 20000);
	answer_clear(&a);
}

static void got_text(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	assert_int_equal(result, STORE_OK);
	*(json_t **)arg = doc_parse(d->text->data, d->text->len, NULL, 0);
}

/* Writes a beat with these figures, in place of the agent. */
static void figures(const char *node, int cpu_percent, int memory_percent)
{
	json_t *doc = NULL;
	store_get(t.store, COL_NODES, node, got_text, &doc);
	UNTIL(doc);
	doc_set(doc, "capacity", json_pack("{s:i, s:i}", "cores", 4, "memory_mb", 8192));
	doc_set_int(doc, "cpu_percent", cpu_percent);
	doc_set_int(doc, "memory_percent", memory_percent);
	doc_set_int(doc, "beat", doc_int(doc, "beat", 0) + 1);
	int64_t version = doc_int(doc, "version", 0) + 1;
	doc_set_int(doc, "version", version);
	rig_write(&t, STORE_PUT, COL_NODES, node, doc);
	nodes_look(t.nodes);
	UNTIL(nodes_find(t.nodes, node)->version == version);
}

/* Nodes with equal free capacity fill up evenly; otherwise the one with more capacity is chosen, until both are equal. */
static void test_most_room(UNUSED void **state)
{
	char id[ID_UUID_SIZE], body[64];
	struct answer a = { 0 };
	presence_stop(beat);
	presence_stop(t.presence);
	rig_run_ms(&t, 50);
	for (int i = 0; i < 8; i++) {
		figures("node-1", 10, 20);
		figures("node-2", 10, 20);
		snprintf(body, sizeof body, "{'name':'n%d'}", i);
		assert_string_equal(make(body, id), i % 2 ? "node-2" : "node-1");
	}
	figures("node-1", 90, 20);
	figures("node-2", 10, 20);
	assert_string_equal(make("{'name':'cores'}", id), "node-2");
	figures("node-1", 10, 20);
	figures("node-2", 10, 90);
	assert_string_equal(make("{'name':'memory'}", id), "node-1");
	rig_call(&t, &a, &admin, "rdp.nodes.list", NULL, NULL, NULL);
	json_t *nodes = doc_get(a.doc, "nodes");
	assert_int_equal(json_array_size(nodes), 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(doc_int(json_array_get(nodes, i), "servers", -1), 5);
	static const char *const inner[] = { "agent", "beat", "given_labels", "name" };
	for (size_t i = 0; i < ARRAY_LEN(inner); i++)
		assert_null(json_object_get(json_array_get(nodes, 0), inner[i]));
	answer_clear(&a);
}

/* --- alerts of nodes, as a monitor lists them */

static struct {
	const char *nodes[4]; /* with an open alert about their memory */
	bool away;
	unsigned asked;
} monitor;

static void monitor_alerts(struct call *c, UNUSED void *arg)
{
	json_t *list = json_array();
	monitor.asked++;
	assert_string_equal(doc_str(call_query(c), "state", ""), "open");
	assert_string_equal(doc_str(call_query(c), "kind", ""), "node");
	for (size_t i = 0; monitor.nodes[i]; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "kind", "node", "node", monitor.nodes[i], "metric", "memory_percent"));
	json_t *doc = json_pack("{s:o, s:{s:b}}", "alerts", list, "pagination", "has_next", 0);
	if (monitor.away)
		call_fail(c, ERR_UNAVAILABLE, NULL);
	else
		call_ok_blob(c, doc_blob(doc), NULL); /* as the monitor answers */
	json_decref(doc);
}

/* The manager has read the list after an event. */
static void monitor_says(const char *one, const char *two)
{
	unsigned before = monitor.asked;
	monitor.nodes[0] = one;
	monitor.nodes[1] = two;
	bus_publish(t.bus, "resource.alert.raised", "an-id", "", json_pack("{s:s}", "kind", "node"));
	UNTIL(monitor.asked > before);
	rig_run_ms(&t, 20);
}

static void assert_refused(const char *body, const char *words)
{
	struct answer a = { 0 };
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, body);
	assert_int_equal(a.err, ERR_QUOTA);
	if (!strstr(a.message, words))
		fail_msg("%s", a.message);
	answer_clear(&a);
}

static const json_t *shown_alerts(struct answer *a, const char *node)
{
	rig_call(&t, a, &admin, "rdp.nodes.get", node, NULL, NULL);
	return json_object_get(a->doc, "alerts");
}

static void test_node_with_an_open_alert_takes_no_new_server(UNUSED void **state)
{
	char id[ID_UUID_SIZE], body[64];
	struct answer a = { 0 };
	memset(&monitor, 0, sizeof monitor);
	assert_true(json_is_null(shown_alerts(&a, "node-2"))); /* nobody answers */
	assert_string_equal(make("{'name':'early','node':'node-2'}", id), "node-2");
	bus_serve(t.bus, op_find("resources.alerts.list"), monitor_alerts, NULL);
	monitor_says("node-2", NULL);
	assert_true(doc_array_has(shown_alerts(&a, "node-2"), "memory_percent"));
	assert_int_equal(json_array_size(shown_alerts(&a, "node-1")), 0);
	for (int i = 0; i < 3; i++) {
		snprintf(body, sizeof body, "{'name':'n%d'}", i);
		assert_string_equal(make(body, id), "node-1");
	}
	assert_refused("{'name':'no','node':'node-2'}", "node node-2 has an open alert for memory_percent");
	assert_string_equal(make("{'name':'later','node':'node-2','auto_start':false}", id), "node-2");
	monitor_says("node-1", "node-2");
	assert_refused("{'name':'no'}", "all nodes are overloaded: node node-1 has an open alert");
	/* the last list is used for a while when the monitor does not answer, and not for ever */
	monitor.away = true;
	monitor_says(NULL, NULL);
	assert_refused("{'name':'no'}", "has an open alert");
	clock_shift_ms(NODE_ALERTS_STALE_MS);
	monitor_says(NULL, NULL);
	assert_true(json_is_null(shown_alerts(&a, "node-1")));
	make("{'name':'without a monitor'}", id);
	clock_shift_ms(-NODE_ALERTS_STALE_MS);
	monitor.away = false;
	monitor_says("node-2", NULL);
	assert_refused("{'name':'no','node':'node-2'}", "has an open alert");
	monitor_says(NULL, NULL);
	assert_string_equal(make("{'name':'again','node':'node-2'}", id), "node-2");
	answer_clear(&a);
}

static bool far_has(const char *label)
{
	const struct node_info *info = nodes_find(t.nodes, "node-2");
	return info && info->labels[0] && str_eq(info->labels[0], label);
}

/* Only nodes with the labels, however much capacity others have. */
static void test_labels(UNUSED void **state)
{
	char body[64];
	struct answer a = { 0 };
	rig_call(&t, &a, &admin, "rdp.nodes.put", "node-2", NULL, "{'labels':['gpu=yes','room=b12']}");
	assert_int_equal(a.err, 0);
	UNTIL(far_has("gpu=yes"));
	for (int i = 0; i < 4; i++) {
		snprintf(body, sizeof body, "{'name':'g%d'}", i);
		rig_call(&t, &a, &admin, "rdp.servers.create", NULL, i % 2 ? "{'labels':'gpu=yes'}" : "{'labels':'room=b12,gpu=yes'}", body);
		assert_int_equal(a.err, 0);
		assert_string_equal(doc_str(a.doc, "node", ""), "node-2");
	}
	static const struct {
		const char *labels, *body;
		int err;
	} no[] = {
		{ "{'labels':'gpu=yes,room=b13'}", "{'name':'no'}", ERR_INVALID },
		{ "{'labels':'gpu'}", "{'name':'no'}", ERR_INVALID },
		{ "{'labels':'gpu=yes'}", "{'name':'no','node':'node-1'}", ERR_CONFLICT },
	};
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		rig_call(&t, &a, &admin, "rdp.servers.create", NULL, no[i].labels, no[i].body);
		assert_int_equal(a.err, no[i].err);
	}
	rig_call(&t, &a, &admin, "rdp.nodes.put", "node-2", NULL, "{'draining':true}");
	UNTIL(far_is(NODE_DRAINING));
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, "{'labels':'gpu=yes'}", "{'name':'no'}");
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, "with these labels"));
	answer_clear(&a);
}

static void test_draining(UNUSED void **state)
{
	char id[ID_UUID_SIZE], body[64];
	struct answer a = { 0 };
	rig_call(&t, &a, &admin, "rdp.nodes.put", "node-2", NULL, "{'draining':true}");
	assert_string_equal(doc_str(a.doc, "status", ""), "draining");
	UNTIL(far_is(NODE_DRAINING));
	for (int i = 0; i < 4; i++) {
		snprintf(body, sizeof body, "{'name':'n%d'}", i);
		assert_string_equal(make(body, id), "node-1");
	}
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'no','node':'node-2'}");
	assert_int_equal(a.err, ERR_CONFLICT);
	rig_call(&t, &a, &admin, "rdp.nodes.put", "node-2", NULL, "{'draining':false}");
	UNTIL(far_is(NODE_READY));
	assert_string_equal(make("{'name':'again','node':'node-2'}", id), "node-2");
	answer_clear(&a);
}

static void test_unreachable(UNUSED void **state)
{
	char id[ID_UUID_SIZE], other[ID_UUID_SIZE];
	struct answer a = { 0 };
	make("{'name':'there','node':'node-2'}", id);
	presence_stop(beat);
	UNTIL(far_is(NODE_UNREACHABLE));
	rig_call(&t, &a, &admin, "rdp.nodes.get", "node-2", NULL, NULL);
	assert_string_equal(doc_str(a.doc, "status", ""), "unreachable");
	UNTIL(str_eq(rig_status(&t, id), "running node_unreachable"));
	static const char *const ops[] = { "rdp.servers.stop", "rdp.servers.restart", "rdp.servers.delete", "rdp.servers.config" };
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		rig_call(&t, &a, &admin, ops[i], id, NULL, NULL);
		assert_int_equal(a.err, ERR_UNAVAILABLE);
		assert_non_null(strstr(a.message, "node-2"));
	}
	rig_call(&t, &a, &admin, "rdp.servers.status", id, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "agent", ""), "away");
	rig_call(&t, &a, &admin, "rdp.servers.list", NULL, NULL, NULL);
	assert_int_equal(json_array_size(doc_get(a.doc, "servers")), 1);
	assert_true(doc_array_has(doc_get(a.doc, "unreachable"), "node-2"));
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'no','node':'node-2'}");
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_string_equal(make("{'name':'else'}", other), "node-1");
	assert_int_equal(t.starts, 1); /* its servers are not started elsewhere */
	/* it is reachable again, and its server is reconciled */
	far_begin();
	UNTIL(str_eq(rig_status(&t, id), "running"));
	/* what ran there ended with its host meanwhile */
	presence_stop(beat);
	UNTIL(far_is(NODE_UNREACHABLE));
	UNTIL(str_eq(rig_status(&t, id), "running node_unreachable"));
	json_object_clear(far.instances);
	far_begin();
	UNTIL(far.starts == 2);
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "running");
	rig_call(&t, &a, &admin, "rdp.servers.stop", id, "{'wait':true}", NULL);
	assert_int_equal(a.err, ERR_OK);
	assert_string_equal(rig_status(&t, id), "stopped");
	answer_clear(&a);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_named_node), TEST(test_profiles_are_of_this_node), TEST(test_same_port_twice), TEST(test_stranger_there),
		TEST(test_most_room),  TEST(test_labels),	   TEST(test_draining),
		TEST(test_node_with_an_open_alert_takes_no_new_server),
		cmocka_unit_test_setup_teardown(test_unreachable, up_hasty, down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
