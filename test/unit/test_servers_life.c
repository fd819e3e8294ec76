/* The life of a server: statuses, the strand, the agent's answers and events, reconciliation at the start. */
#include "servers_rig.h"

static bool in_table(unsigned from, unsigned to)
{
	for (size_t i = 0; i < server_kind.ntransitions; i++)
		if (server_kind.transitions[i].from == from && server_kind.transitions[i].to == to)
			return true;
	return false;
}

static void test_table(void **state)
{
	static const char *const rows[SERVER_STATUS_COUNT] = {
		/* to:            creating configuring starting running stopping stopped failed */
		[SERVER_CREATING] = "-cs-x-f",	  [SERVER_CONFIGURING] = "--s-x-f", [SERVER_STARTING] = "---rxof",
		[SERVER_RUNNING] = "--s-xof",	  [SERVER_STOPPING] = "---r-of",    [SERVER_STOPPED] = "--s---f",
		[SERVER_FAILED] = "--s-x-f",
	};
	for (unsigned from = 0; from < SERVER_STATUS_COUNT; from++) {
		unsigned back;
		assert_true(object_state_of(&server_kind, server_status_to_string((enum server_status)from), &back));
		assert_int_equal(back, from);
		for (unsigned to = 0; to < SERVER_STATUS_COUNT; to++)
			assert_int_equal(in_table(from, to), rows[from][to] != '-');
	}
	assert_false(object_state_of(&server_kind, "asleep", &(unsigned){ 0 }));
}

/* DELETE waits for its end unless told otherwise; then its answer is the server in state stopping. */
static void test_delete_waits_unless_told_otherwise(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, "{'wait':true}", "{'name':'one'}");
	t.hold_stops = true;
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, "{'wait':false}", NULL);
	assert_int_equal(a.status, 202);
	assert_string_equal(doc_str(a.doc, "status", ""), "stopping");
	RIG_UNTIL(&t, t.held_stop);
	t.hold_stops = false;
	agent_stop(t.held_stop, &t);
	rig_rest(&t);
	rig_call(&t, &a, &alice, "rdp.servers.get", id, NULL, NULL);
	assert_int_equal(a.err, ERR_SERVER_NOT_FOUND);
	/* a server without processes is deleted at once in both cases; one with live desktops is refused in both cases */
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, "{'wait':false}", NULL);
	assert_int_equal(a.status, 204);
	rig_make(&t, id, "{'wait':true}", "{'name':'one'}");
	json_object_set_new(t.desktops, id, json_pack("[{s:s, s:i}]", "username", "anna", "display", 20));
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, "{'wait':false}", NULL);
	assert_int_equal(a.err, ERR_CONFLICT);
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, "{'force':true}", NULL);
	assert_int_equal(a.status, 204);
	answer_clear(&a);
	rig_close(&t);
}

static int64_t limit_of(struct rig *t, const char *id, const char *name)
{
	return doc_int(json_object_get(json_object_get(t->instances, id), "desktop_limits"), name, -1);
}

/* A change of the limits of desktops reaches the agent at once, without a restart, and a lost one with a later comparison. */
static void test_limits_need_no_restart(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, "{'wait':true}", "{'name':'one','desktop':{'idle_timeout':60}}");
	assert_int_equal(limit_of(&t, id, "idle_timeout"), 60);
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'desktop':{'idle_timeout':600,'kill_disconnected':true}}");
	assert_false(doc_bool(a.doc, "pending_restart", true));
	rig_rest(&t);
	assert_int_equal(t.limits, 1);
	assert_int_equal(limit_of(&t, id, "idle_timeout"), 600);
	/* what is no limit still needs one */
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'desktop':{'idle_timeout':700,'max_sessions':3}}");
	assert_true(doc_bool(a.doc, "pending_restart", false));
	rig_rest(&t);
	assert_int_equal(limit_of(&t, id, "idle_timeout"), 700);
	/* an agent that is unreachable */
	t.away = ERR_UNAVAILABLE;
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'desktop':{'disconnected_timeout':30}}");
	assert_int_equal(a.err, 0);
	rig_rest(&t);
	assert_int_equal(limit_of(&t, id, "disconnected_timeout"), 0);
	t.away = 0;
	reconcile_all(rig_manager(&t));
	rig_rest(&t);
	assert_int_equal(limit_of(&t, id, "disconnected_timeout"), 30);
	/* somebody else has set them, or the agent has lost its record */
	json_object_set_new(json_object_get(t.instances, id), "desktop_limits",
			    json_pack("{s:i, s:i, s:b}", "idle_timeout", 1, "disconnected_timeout", 30, "kill_disconnected", 1));
	reconcile_all(rig_manager(&t));
	rig_rest(&t);
	assert_int_equal(limit_of(&t, id, "idle_timeout"), 700);
	unsigned sent = t.limits;
	reconcile_all(rig_manager(&t));
	rig_rest(&t);
	assert_int_equal(t.limits, sent);
	assert_int_equal(t.replaces, 0);
	/* an agent of an older version shows none, and is not asked */
	json_object_del(json_object_get(t.instances, id), "desktop_limits");
	reconcile_all(rig_manager(&t));
	rig_rest(&t);
	assert_int_equal(t.limits, sent);
	answer_clear(&a);
	rig_close(&t);
}

static void test_life(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_call(&t, &a, &alice, "rdp.servers.create", NULL, "{'wait':true}", "{'name':'one'}");
	assert_int_equal(a.status, 201);
	assert_string_equal(doc_str(a.doc, "status", ""), "running");
	assert_string_equal(doc_str(a.doc, "backend", ""), "process");
	assert_non_null(doc_str(a.doc, "started_at", NULL));
	str_copy(id, sizeof id, doc_str(a.doc, "server_id", ""));
	assert_int_equal(doc_int(t.last_spec, "port", 0), doc_int(a.doc, "port", -1));
	assert_string_equal(t.events, "server.created=creating server.status=configuring server.status=starting server.status=running ");
	rig_call(&t, &a, &alice, "rdp.servers.start", id, NULL, NULL);
	assert_int_equal(a.status, 200);
	rig_call(&t, &a, &alice, "rdp.servers.status", id, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "agent", ""), "available");
	assert_int_equal(json_integer_value(doc_get(a.doc, "sessions.orphaned")), 2);
	rig_call(&t, &a, &alice, "rdp.servers.config", id, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "sesman_ini", ""), "one");
	rig_call(&t, &a, &alice, "rdp.servers.logs", id, NULL, NULL);
	assert_int_equal(json_array_size(doc_get(a.doc, "lines")), 1);
	assert_true(json_is_null(json_object_get(a.doc, "sources"))); /* an agent that does not report them */
	/* the agent is told the new owner, without a restart */
	rig_call(&t, &a, &admin, "rdp.servers.patch", id, NULL, "{'user_id':'bob'}");
	rig_rest(&t);
	assert_string_equal(doc_str(t.last_spec, "user_id", ""), "bob");
	assert_false(doc_bool(t.last_spec, "replace", false));
	rig_call(&t, &a, &admin, "rdp.servers.patch", id, NULL, "{'user_id':'alice'}");
	/* a change that needs a restart waits for it, another one does not */
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'tags':['x'],'auto_start':false,'display':{'width':640}}");
	assert_false(doc_bool(a.doc, "pending_restart", true));
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'channels':{'drive':false}}");
	assert_true(doc_bool(a.doc, "pending_restart", false));
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, "{'restart':true}", "{'channels':{'sound':false}}");
	assert_int_equal(a.err, 0);
	assert_false(doc_bool(a.doc, "pending_restart", true));
	assert_string_equal(doc_str(a.doc, "status", ""), "running");
	assert_int_equal(t.replaces, 1);
	assert_false(doc_bool(doc_get(t.last_spec, "channels"), "sound", true));
	rig_call(&t, &a, &alice, "rdp.servers.restart", id, NULL, NULL);
	assert_int_equal(a.status, 202);
	rig_rest(&t);
	assert_int_equal(t.replaces, 2);
	/* a user is connected */
	json_object_set_new(t.desktops, id, json_pack("[{s:s, s:i, s:s}]", "username", "carol", "display", 12, "status", "active"));
	static const char *const ends[] = { "rdp.servers.stop", "rdp.servers.delete" };
	for (size_t i = 0; i < 2; i++) {
		rig_call(&t, &a, &alice, ends[i], id, NULL, NULL);
		assert_int_equal(a.err, ERR_CONFLICT);
		assert_int_equal(json_array_size(a.details), 1);
		assert_string_equal(rig_status(&t, id), "running");
	}
	assert_int_equal(t.stops, 0);
	rig_call(&t, &a, &alice, "rdp.servers.stop", id, "{'force':true,'wait':true}", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(doc_str(a.doc, "status", ""), "stopped");
	assert_non_null(doc_str(a.doc, "stopped_at", NULL));
	rig_call(&t, &a, &alice, "rdp.servers.stop", id, NULL, NULL);
	assert_int_equal(a.status, 200);
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, NULL, NULL);
	assert_int_equal(a.status, 204);
	assert_int_equal(t.removes, 1);
	assert_int_equal(rig_count(&t, COL_PORTS) + rig_count(&t, COL_NAMES) + rig_count(&t, COL_SERVERS), 0);
	answer_clear(&a);
	rig_close(&t);
}

static unsigned refused_of(const struct answer *a, size_t n)
{
	unsigned refused = 0;
	for (size_t i = 0; i < n; i++)
		refused += a[i].over && a[i].err == ERR_CONFLICT;
	return refused;
}

static void test_strand(void **state)
{
	struct rig t = { .hold = true };
	struct answer a[14] = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one'}");
	RIG_UNTIL(&t, t.held && str_eq(rig_status(&t, id), "starting"));
	/* while it starts, other operations wait in a bounded queue */
	for (int i = 0; i < 12; i++) {
		char body[64];
		snprintf(body, sizeof body, "{'description':'%d'}", i);
		rig_ask(&t, &a[i], &alice, "rdp.servers.patch", id, 0, NULL, body);
	}
	RIG_UNTIL(&t, refused_of(a, 12) == 12 - OBJECT_TASKS_MAX);
	rig_run_ms(&t, 30);
	assert_int_equal(refused_of(a, 12), 12 - OBJECT_TASKS_MAX);
	t.hold = false;
	agent_answer_start(&t, t.held);
	int64_t last = 0;
	for (int i = 0; i < OBJECT_TASKS_MAX; i++) {
		rig_await(&t, &a[i]);
		assert_int_equal(a[i].err, 0);
		assert_true(a[i].version > last); /* in the order of the requests */
		last = a[i].version;
		assert_string_equal(doc_str(a[i].doc, "status", ""), "running");
	}
	/* an operation behind a delete is told that the server is gone */
	rig_ask(&t, &a[12], &alice, "rdp.servers.delete", id, 0, NULL, NULL);
	rig_ask(&t, &a[13], &alice, "rdp.servers.start", id, 0, NULL, NULL);
	rig_await(&t, &a[12]);
	rig_await(&t, &a[13]);
	assert_int_equal(a[12].status, 204);
	assert_int_equal(a[13].err, ERR_SERVER_NOT_FOUND);
	for (int i = 0; i < 14; i++)
		answer_clear(&a[i]);
	rig_close(&t);
}

static void test_failures(void **state)
{
	struct rig t = { .reason = "port_in_use" };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	rig_call(&t, &a, &alice, "rdp.servers.start", id, "{'wait':true}", NULL);
	assert_int_equal(a.err, ERR_SERVER_START);
	assert_non_null(strstr(a.message, "port_in_use"));
	assert_string_equal(rig_status(&t, id), "failed port_in_use");
	t.reason = NULL;
	t.refuse_start = ERR_NO_XRDP;
	rig_call(&t, &a, &alice, "rdp.servers.start", id, "{'wait':true}", NULL);
	assert_int_equal(a.err, ERR_NO_XRDP);
	assert_string_equal(rig_status(&t, id), "failed no_xrdp");
	t.refuse_start = 0;
	rig_call(&t, &a, &alice, "rdp.servers.start", id, "{'wait':true}", NULL);
	assert_int_equal(a.status, 200);
	/* the agent is unreachable: the caller is told, and the server is unchanged */
	t.away = ERR_UNAVAILABLE;
	static const char *const ops[] = { "rdp.servers.stop", "rdp.servers.delete", "rdp.servers.config", "rdp.servers.logs" };
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		rig_call(&t, &a, &alice, ops[i], id, NULL, NULL);
		assert_int_equal(a.err, ERR_UNAVAILABLE);
		assert_non_null(strstr(a.message, "agent"));
		assert_string_equal(rig_status(&t, id), "running");
	}
	rig_call(&t, &a, &alice, "rdp.servers.restart", id, "{'wait':true}", NULL);
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_string_equal(rig_status(&t, id), "running");
	rig_call(&t, &a, &alice, "rdp.servers.status", id, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "agent", ""), "away");
	rig_call(&t, &a, &alice, "rdp.servers.list", NULL, NULL, NULL); /* the counts of live objects are unknown, not 0 */
	assert_int_equal(json_array_size(json_object_get(a.doc, "servers")), 1);
	assert_true(doc_array_has(json_object_get(a.doc, "unreachable"), "node-1"));
	/* a new server waits for the agent, and starts when it is reachable */
	rig_make(&t, id, NULL, "{'name':'two'}");
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "starting agent_away");
	t.away = 0;
	reconcile_all(rig_manager(&t));
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "running");
	answer_clear(&a);
	rig_close(&t);
}

/* The agent dies during each start: the start is repeated at each poll, and after several only on request. */
static void test_interrupted_starts(void **state)
{
	struct rig t = { .refuse_start = ERR_UNCERTAIN };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one'}");
	rig_rest(&t);
	for (unsigned n = 1; n < CUT_OFF_MAX; n++) {
		assert_string_equal(rig_status(&t, id), "starting agent_silent");
		assert_int_equal(t.starts, n);
		reconcile_all(rig_manager(&t));
		rig_rest(&t);
	}
	assert_string_equal(rig_status(&t, id), "failed agent_silent");
	reconcile_all(rig_manager(&t));
	rig_rest(&t);
	assert_int_equal(t.starts, CUT_OFF_MAX);
	/* on request, it is interrupted once more, and then runs: each request resets the count */
	rig_call(&t, &a, &alice, "rdp.servers.start", id, NULL, NULL);
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "starting agent_silent");
	t.refuse_start = 0;
	reconcile_all(rig_manager(&t));
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "running");
	assert_int_equal(server_find(rig_manager(&t), id)->cut_off, 0);
	answer_clear(&a);
	rig_close(&t);
}

static void test_port_of_another_process(void **state)
{
	struct rig t = { .stranger = 20000 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_call(&t, &a, &alice, "rdp.servers.create", NULL, "{'wait':true}", "{'name':'one'}");
	assert_string_equal(doc_str(a.doc, "status", ""), "running");
	assert_int_equal(doc_int(a.doc, "port", 0), 20001);
	assert_int_equal(rig_count(&t, COL_PORTS), 1);
	assert_int_equal(ports_get(place_of(rig_manager(&t), "node-1")->ports, 20000), PORT_BLOCKED);
	/* a requested port is never changed silently */
	t.stranger = 20005;
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, "{'wait':true}", "{'name':'one','port':20005}");
	assert_int_equal(a.status, 201);
	assert_string_equal(doc_str(a.doc, "status", ""), "failed");
	assert_string_equal(doc_str(a.doc, "status_reason", ""), "port_in_use");
	assert_int_equal(doc_int(a.doc, "port", 0), 20005);
	/* nor is that of a server that ran before */
	rig_make(&t, id, NULL, "{'name':'two','auto_start':false}");
	rig_call(&t, &a, &alice, "rdp.servers.get", id, NULL, NULL);
	t.stranger = (int)doc_int(a.doc, "port", 0);
	rig_call(&t, &a, &alice, "rdp.servers.start", id, "{'wait':true}", NULL);
	assert_int_equal(a.err, ERR_SERVER_START);
	assert_string_equal(rig_status(&t, id), "failed port_in_use");
	answer_clear(&a);
	rig_close(&t);
}

static void test_events(void **state)
{
	struct rig t = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, "{'wait':true}", "{'name':'one'}");
	/* sesman ended for good */
	rig_set(&t, id, "failed", "sesman_exited");
	rig_publish(&t, "xrdp.instance.exited", id);
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "failed sesman_exited");
	/* the agent restarted it, by its policy */
	rig_set(&t, id, "running", NULL);
	rig_publish(&t, "xrdp.instance.started", id);
	rig_publish(&t, "xrdp.instance.started", id);
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "running");
	/* a death that was repaired before it was noticed changes nothing; an event of an unknown server is ignored */
	t.events[0] = 0;
	rig_publish(&t, "xrdp.instance.exited", id);
	rig_publish(&t, "xrdp.instance.exited", "22222222-2222-4222-8222-222222222222");
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "running");
	assert_string_equal(t.events, "");
	rig_close(&t);
}

static void put_status(struct rig *t, const char *id, const char *status)
{
	struct answer a = { 0 };
	rig_call(t, &a, &admin, "rdp.servers.get", id, NULL, NULL);
	json_t *doc = json_deep_copy(a.doc);
	doc_set_str(doc, "status", status);
	doc_set_int(doc, "version", a.version + 1);
	assert_int_equal(rig_write(t, STORE_REPLACE, COL_SERVERS, id, doc), STORE_OK);
	answer_clear(&a);
}

/* What a start finds in the store and at the agent, and the resulting states. */
static void test_reconcile(void **state)
{
	static const struct {
		const char *stored, *instance;
		bool auto_start, desktops;
		const char *then;
	} rows[] = {
		{ "running", "running", true, false, "running" },
		{ "running", NULL, true, false, "running" },
		{ "running", NULL, false, false, "stopped host_restarted" },
		{ "running", "failed", true, false, "failed why" },
		{ "stopped", NULL, true, false, "stopped" },
		{ "stopped", "running", true, false, "stopped" },
		{ "creating", NULL, true, false, "running" },
		{ "configuring", NULL, true, false, "running" },
		{ "starting", NULL, true, false, "running" },
		{ "starting", "running", true, false, "running" },
		{ "stopping", NULL, true, false, "stopped" },
		{ "stopping", "running", true, false, "stopped" },
		{ "failed", NULL, true, false, "running" },
		{ "failed", NULL, false, false, "failed" },
		{ "failed", "running", true, false, "running" },
	};
	char ids[ARRAY_LEN(rows)][ID_UUID_SIZE];
	struct rig t = { 0 };
	rig_open(&t, (const char *const[]){ "MAX_SERVERS_PER_USER=100", "PORT_RANGE_END=20100", NULL });
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char body[100];
		snprintf(body, sizeof body, "{'name':'s%zu','auto_start':false}", i);
		rig_make(&t, ids[i], NULL, body);
		if (rows[i].auto_start) {
			struct answer a = { 0 };
			rig_call(&t, &a, &alice, "rdp.servers.patch", ids[i], NULL, "{'auto_start':true}");
			answer_clear(&a);
		}
		put_status(&t, ids[i], rows[i].stored);
		if (rows[i].instance)
			rig_set(&t, ids[i], rows[i].instance, str_eq(rows[i].instance, "failed") ? "why" : NULL);
	}
	/* and two unknown instances, one of which is in use */
	const char *lost = "11111111-1111-4111-8111-111111111111", *kept = "22222222-2222-4222-8222-222222222222";
	rig_set(&t, lost, "running", NULL);
	rig_set(&t, kept, "running", NULL);
	json_object_set_new(t.desktops, kept, json_pack("[{s:s}]", "username", "carol"));
	rig_stop(&t);
	rig_start(&t);
	rig_rest(&t);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!str_eq(rig_status(&t, ids[i]), rows[i].then))
			fail_msg("%s, instance %s: %s, not %s", rows[i].stored, rows[i].instance ? rows[i].instance : "none",
				 rig_status(&t, ids[i]), rows[i].then);
	assert_null(json_object_get(t.instances, lost));
	assert_non_null(json_object_get(t.instances, kept));
	size_t all = 0;
	for (unsigned i = 0; i < SERVER_STATUS_COUNT; i++)
		all += objects_in_state(rig_manager(&t)->objects, i);
	assert_int_equal(all, ARRAY_LEN(rows));
	rig_close(&t);
}

/* A narrower range does not affect servers outside of it. */
static void test_range_moved(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'one','port':20009,'auto_start':false}");
	str_copy(id, sizeof id, doc_str(a.doc, "server_id", ""));
	json_t *doc = json_deep_copy(a.doc);
	doc_set_int(doc, "port", 30000);
	doc_set_int(doc, "version", 2);
	rig_write(&t, STORE_REPLACE, COL_SERVERS, id, doc);
	rig_stop(&t);
	rig_start(&t);
	rig_rest(&t);
	rig_call(&t, &a, &admin, "rdp.servers.patch", id, NULL, "{'description':'still here'}");
	assert_int_equal(a.err, 0);
	rig_call(&t, &a, &admin, "rdp.servers.start", id, "{'wait':true}", NULL);
	assert_int_equal(a.status, 200);
	assert_int_equal(doc_int(t.last_spec, "port", 0), 30000);
	answer_clear(&a);
	rig_close(&t);
}

/* Calls that arrive before the servers were read wait. */
static void test_early_calls(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 }, b = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	rig_stop(&t);
	rig_start(&t);
	assert_false(rig_manager(&t)->objects->loaded);
	rig_ask(&t, &a, &alice, "rdp.servers.patch", id, 0, NULL, "{'name':'two'}");
	rig_ask(&t, &b, &alice, "rdp.servers.create", NULL, 0, NULL, "{'name':'three','auto_start':false}");
	rig_await(&t, &a);
	rig_await(&t, &b);
	/* the store may not be open yet: then the call fails, and works a moment later */
	assert_true(!a.err || a.err == ERR_UNAVAILABLE);
	assert_true(!b.err || b.err == ERR_UNAVAILABLE);
	rig_rest(&t);
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'name':'four'}");
	assert_int_equal(a.err, 0);
	answer_clear(&a);
	answer_clear(&b);
	rig_close(&t);
}

/* Claims that a crash left are released; those of existing servers and new ones are not. */
static void test_sweep(void **state)
{
	struct rig t = { 0 };
	char id[ID_UUID_SIZE], claim[CLAIM_ID_SIZE];
	const char *dead = "11111111-1111-4111-8111-111111111111";
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	int64_t old = clock_wall_ms() - 120000;
	rig_write(&t, STORE_INSERT, COL_PORTS, claim_port_id(claim, "node-1", 20007), claim_port_doc(dead, "node-1", 20007, old));
	rig_write(&t, STORE_INSERT, COL_NAMES, claim_name_id(claim, "alice", "lost"), claim_name_doc(dead, "alice", "lost", old));
	rig_write(&t, STORE_INSERT, COL_PORTS, claim_port_id(claim, "node-1", 20008),
		  claim_port_doc(dead, "node-1", 20008, clock_wall_ms()));
	/* the existing server had another port and name before */
	rig_write(&t, STORE_INSERT, COL_PORTS, claim_port_id(claim, "node-1", 20009), claim_port_doc(id, "node-1", 20009, old));
	rig_write(&t, STORE_INSERT, COL_NAMES, claim_name_id(claim, "alice", "past"), claim_name_doc(id, "alice", "past", old));
	rig_stop(&t);
	rig_start(&t);
	rig_rest(&t);
	assert_int_equal(rig_count(&t, COL_PORTS), 2);
	assert_int_equal(rig_count(&t, COL_NAMES), 1);
	assert_int_equal(ports_get(place_of(rig_manager(&t), "node-1")->ports, 20007), PORT_AVAILABLE);
	assert_int_equal(ports_get(place_of(rig_manager(&t), "node-1")->ports, 20008), PORT_RESERVED);
	/* a delete succeeds although its claims are missing */
	struct answer a = { 0 };
	rig_write(&t, STORE_DELETE, COL_NAMES, claim_name_id(claim, "alice", "one"), NULL);
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, NULL, NULL);
	assert_int_equal(a.status, 204);
	rig_rest(&t);
	rig_await_count(&t, COL_PORTS, 1);
	assert_int_equal(rig_count(&t, COL_SERVERS), 0);
	answer_clear(&a);
	rig_close(&t);
}

/* ?wait expires: the answer is the same as without it. */
static void test_wait_over(void **state)
{
	struct rig t = { .hold = true };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	json_t *query = json_pack("{s:b}", "wait", 1);
	struct call_args args = { .op = op_find("rdp.servers.start"), .caller = &alice, .params = { id }, .query = query,
				  .deadline_ms = 700 };
	a.rig = &t;
	bus_call(t.bus, &args, answered, &a);
	json_decref(query);
	rig_await(&t, &a);
	assert_int_equal(a.err, 0);
	assert_int_equal(a.status, 202);
	assert_string_equal(doc_str(a.doc, "status", ""), "starting");
	t.hold = false;
	agent_answer_start(&t, t.held);
	rig_rest(&t);
	assert_string_equal(rig_status(&t, id), "running");
	answer_clear(&a);
	rig_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	  cmocka_unit_test(test_delete_waits_unless_told_otherwise), cmocka_unit_test(test_life),	      cmocka_unit_test(test_strand),
		cmocka_unit_test(test_failures), cmocka_unit_test(test_interrupted_starts),  cmocka_unit_test(test_port_of_another_process),    cmocka_unit_test(test_events),
		cmocka_unit_test(test_reconcile), cmocka_unit_test(test_early_calls), cmocka_unit_test(test_range_moved), cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_wait_over), cmocka_unit_test(test_limits_need_no_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
