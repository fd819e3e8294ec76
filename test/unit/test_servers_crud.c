/* Server definitions: validation, claims, quotas, versions, ownership, lists. */
#include "servers_rig.h"

static void test_create(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	rig_open(&t, NULL);
	rig_call(&t, &a, &alice, "rdp.servers.create", NULL, NULL,
		 "{'name':'one','auto_start':false,'display':{'width':800},'desktop':{'profile':'openbox'},'tags':['x'],'description':'a\\nb'}");
	assert_int_equal(a.err, 0);
	assert_int_equal(a.status, 201);
	assert_int_equal(a.version, 1);
	assert_string_equal(doc_str(a.doc, "status", ""), "stopped");
	assert_string_equal(doc_str(a.doc, "user_id", ""), "alice");
	assert_string_equal(doc_str(a.doc, "host", ""), "rdp.example.org");
	assert_string_equal(doc_str(a.doc, "node", ""), "node-1");
	assert_int_equal(doc_int(doc_get(a.doc, "display"), "width", 0), 800);
	assert_int_equal(doc_int(doc_get(a.doc, "display"), "height", 0), 1080);
	assert_int_equal(json_object_size(doc_get(a.doc, "limits")), 0);
	assert_true(doc_bool(doc_get(a.doc, "channels"), "drive", false));
	assert_string_equal(doc_str(doc_get(a.doc, "recording"), "mode", ""), "off");
	assert_null(doc_get(a.doc, "sessions"));
	char id[ID_UUID_SIZE], want[200];
	str_copy(id, sizeof id, doc_str(a.doc, "server_id", ""));
	snprintf(want, sizeof want, "/api/v1/rdp/servers/%s", id);
	assert_string_equal(a.location, want);
	assert_int_equal(t.starts, 0);
	_cleanup_(doc_unrefp) json_t *made = json_incref(a.doc);
	rig_call(&t, &a, &alice, "rdp.servers.get", id, NULL, NULL);
	assert_true(json_equal(a.doc, made));
	assert_int_equal(a.version, 1);
	rig_call(&t, &a, &bob, "rdp.servers.get", id, NULL, NULL);
	assert_int_equal(a.err, ERR_SERVER_NOT_FOUND);
	static const char *const ops[] = { "rdp.servers.patch", "rdp.servers.delete", "rdp.servers.start", "rdp.servers.stop",
					   "rdp.servers.status", "rdp.servers.rdp_file", "rdp.servers.connection" };
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		rig_call(&t, &a, &bob, ops[i], id, NULL, i ? NULL : "{'name':'mine'}");
		assert_int_equal(a.err, ERR_SERVER_NOT_FOUND);
	}
	assert_int_equal(rig_count(&t, COL_PORTS), 1);
	assert_int_equal(rig_count(&t, COL_NAMES), 1);
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, NULL, NULL);
	assert_int_equal(a.status, 204);
	assert_int_equal(rig_count(&t, COL_PORTS) + rig_count(&t, COL_NAMES) + rig_count(&t, COL_SERVERS), 0);
	assert_int_equal(t.stops, 0);
	rig_call(&t, &a, &alice, "rdp.servers.delete", id, NULL, NULL);
	assert_int_equal(a.err, ERR_SERVER_NOT_FOUND);
	assert_string_equal(t.events, "server.created=stopped server.deleted ");
	answer_clear(&a);
	rig_close(&t);
}

static void test_bad_input(void **state)
{
	static const struct {
		const char *body, *field;
	} rows[] = {
		{ "{}", "name" },
		{ "{'name':''}", "name" },
		{ "{'name':'a\\nb'}", "name" },
		{ "{'name':'n','nonsense':1}", "nonsense" },
		{ "{'name':'n','status':'running'}", "status" },
		{ "{'name':'n','version':3}", "version" },
		{ "{'name':'n','user_id':'bob'}", "user_id" },
		{ "{'name':'n','port':20001}", "port" },
		{ "{'name':'n','node':'node-1'}", "node" },
		{ "{'name':'n','display':{'width':319}}", "display.width" },
		{ "{'name':'n','display':{'height':8193}}", "display.height" },
		{ "{'name':'n','display':{'color_depth':17}}", "display.color_depth" },
		{ "{'name':'n','desktop':{'max_sessions':51}}", "desktop.max_sessions" },
		{ "{'name':'n','desktop':{'profile':'a b'}}", "desktop.profile" },
		{ "{'name':'n','desktop':{'profile':'kde'}}", "desktop.profile" },
		{ "{'name':'n','limits':{'memory_mb':63}}", "limits.memory_mb" },
		{ "{'name':'n','limits':{'memory_mb':16777216}}", "limits.memory_mb" },
		{ "{'name':'n','limits':{'cpu_percent':102400}}", "limits.cpu_percent" },
		{ "{'name':'n','limits':{'tasks':31}}", "limits.tasks" },
		{ "{'name':'n','security':{'layer':'none'}}", "security.layer" },
		{ "{'name':'n','security':{'allowed_users':['a','B\\u2028c']}}", "security.allowed_users[1]" },
		{ "{'name':'n','restart_policy':'sometimes'}", "restart_policy" },
		{ "{'name':'n','auto_start':'yes'}", "auto_start" },
		{ "{'name':'n','tags':['a\\u0001']}", "tags[0]" },
	};
	struct rig t = { 0 };
	struct answer a = { 0 };
	rig_open(&t, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		rig_call(&t, &a, &alice, "rdp.servers.create", NULL, NULL, rows[i].body);
		if (a.err != ERR_INVALID || !names_field(&a, rows[i].field))
			fail_msg("%s: %s does not name %s", rows[i].body, err_name(a.err), rows[i].field);
	}
	rig_call(&t, &a, &alice, "rdp.servers.create", NULL, NULL,
		 "{'name':'n','user_id':'bob','port':20001,'display':{'color_depth':9}}");
	assert_int_equal(json_array_size(a.details), 3);
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'n','port':30000,'auto_start':false}");
	assert_true(names_field(&a, "port"));
	rig_call(&t, &a, &admin, "rdp.servers.create", NULL, NULL, "{'name':'n','node':'elsewhere','auto_start':false}");
	assert_true(names_field(&a, "node"));
	assert_int_equal(rig_count(&t, COL_PORTS) + rig_count(&t, COL_NAMES) + rig_count(&t, COL_SERVERS), 0);
	assert_int_equal(map_count(rig_manager(&t)->objects->owners), 0);
	answer_clear(&a);
	rig_close(&t);
}

static void test_ports(void **state)
{
	struct rig t = { 0 };
	struct answer a[12] = { 0 };
	rig_open(&t, (const char *const[]){ "MAX_SERVERS_PER_USER=100", NULL });
	/* other processes use two of the ten: found by their claims alone */
	for (int port = 20001; port <= 20002; port++) {
		char id[CLAIM_ID_SIZE];
		rig_write(&t, STORE_INSERT, COL_PORTS, claim_port_id(id, "node-1", port),
			  claim_port_doc("11111111-1111-4111-8111-111111111111", "node-1", port, clock_wall_ms()));
	}
	for (int i = 0; i < 12; i++) {
		char body[64];
		snprintf(body, sizeof body, "{'name':'s%d','auto_start':false}", i);
		rig_ask(&t, &a[i], &alice, "rdp.servers.create", NULL, 0, NULL, body);
	}
	unsigned made = 0, refused = 0, seen = 0;
	for (int i = 0; i < 12; i++) {
		rig_await(&t, &a[i]);
		made += a[i].err == ERR_OK;
		refused += a[i].err == ERR_NO_PORT;
		if (!a[i].err)
			seen |= 1u << (doc_int(a[i].doc, "port", 0) - 20000);
		answer_clear(&a[i]);
	}
	assert_int_equal(made, 8);
	assert_int_equal(refused, 4);
	assert_int_equal(seen, 0x3ff & ~0x6u);
	assert_int_equal(objects_of_owner(rig_manager(&t)->objects, "alice"), 8);
	struct answer one = { 0 };
	rig_call(&t, &one, &admin, "rdp.servers.create", NULL, NULL, "{'name':'x','port':20003,'auto_start':false}");
	assert_int_equal(one.err, ERR_CONFLICT);
	rig_call(&t, &one, &admin, "rdp.ports.list", NULL, "{'limit':3,'page':1}", NULL);
	assert_int_equal(json_array_size(doc_get(one.doc, "ports")), 3);
	assert_int_equal(doc_int(doc_get(one.doc, "counts"), "reserved", 0), 2);
	assert_int_equal(doc_int(doc_get(one.doc, "counts"), "allocated", 0), 8);
	assert_string_equal(doc_str(json_array_get(doc_get(one.doc, "ports"), 1), "status", ""), "reserved");
	/* a port of another process is found by a real bind, and is not assigned */
	char id[ID_UUID_SIZE];
	rig_call(&t, &one, &alice, "rdp.servers.list", NULL, NULL, NULL);
	const json_t *any = json_array_get(doc_get(one.doc, "servers"), 0);
	t.stranger = (int)doc_int(any, "port", 0);
	str_copy(id, sizeof id, doc_str(any, "server_id", ""));
	rig_call(&t, &one, &alice, "rdp.servers.delete", id, NULL, NULL);
	rig_call(&t, &one, &admin, "rdp.ports.list", NULL, "{'limit':100}", NULL);
	assert_int_equal(doc_int(doc_get(one.doc, "counts"), "blocked", 0), 1);
	/* a filter is applied to the current state of the host, not to the last known one */
	int stranger = t.stranger;
	t.stranger = 0;
	rig_call(&t, &one, &admin, "rdp.ports.list", NULL, "{'status':'blocked'}", NULL);
	assert_int_equal(json_array_size(doc_get(one.doc, "ports")), 0);
	t.stranger = stranger;
	rig_call(&t, &one, &admin, "rdp.ports.list", NULL, "{'status':'available'}", NULL);
	assert_int_equal(json_array_size(doc_get(one.doc, "ports")), 0);
	rig_call(&t, &one, &admin, "rdp.ports.list", NULL, "{'status':'blocked'}", NULL);
	assert_int_equal(doc_int(json_array_get(doc_get(one.doc, "ports"), 0), "port", 0), stranger);
	assert_int_equal(doc_int(doc_get(one.doc, "pagination"), "total", 0), 1);
	rig_call(&t, &one, &alice, "rdp.servers.create", NULL, NULL, "{'name':'more','auto_start':false}");
	assert_int_equal(one.err, ERR_NO_PORT);
	answer_clear(&one);
	rig_close(&t);
}

static void test_names(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE], other[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	rig_call(&t, &a, &alice, "rdp.servers.create", NULL, NULL, "{'name':'one','auto_start':false}");
	assert_int_equal(a.err, ERR_CONFLICT);
	rig_rest(&t);
	assert_int_equal(rig_count(&t, COL_PORTS), 1);
	assert_int_equal(ports_count(place_of(rig_manager(&t), "node-1")->ports, PORT_ALLOCATED), 1);
	rig_call(&t, &a, &bob, "rdp.servers.create", NULL, NULL, "{'name':'one','auto_start':false}");
	assert_int_equal(a.err, 0);
	rig_make(&t, other, NULL, "{'name':'two','auto_start':false}");
	rig_call(&t, &a, &alice, "rdp.servers.patch", other, NULL, "{'name':'one'}");
	assert_int_equal(a.err, ERR_CONFLICT);
	rig_call(&t, &a, &alice, "rdp.servers.patch", other, NULL, "{'name':'three'}");
	assert_int_equal(a.err, 0);
	assert_int_equal(a.version, 2);
	rig_make(&t, other, NULL, "{'name':'two','auto_start':false}");
	assert_int_equal(rig_count(&t, COL_NAMES), 4);
	/* ids of claims: no owner and name can look like another owner and name */
	char x[CLAIM_ID_SIZE], y[CLAIM_ID_SIZE], owner[129];
	assert_string_not_equal(claim_name_id(x, "a:b", "c"), claim_name_id(y, "a", "b:c"));
	assert_string_not_equal(claim_name_id(x, "a%3A", "c"), claim_name_id(y, "a:", "c"));
	assert_string_equal(claim_name_id(x, "alice", "dev box"), "alice:dev box");
	memset(owner, ':', 128);
	owner[128] = 0;
	assert_int_equal(strlen(claim_name_id(x, owner, "c")), 66);
	assert_string_not_equal(x, claim_name_id(y, owner, "d"));
	answer_clear(&a);
	rig_close(&t);
}

static void test_quotas(void **state)
{
	struct rig t = { 0 };
	struct answer a[8] = { 0 };
	rig_open(&t, (const char *const[]){ "MAX_SERVERS_PER_USER=3", "MAX_CONCURRENT_SERVERS=2", NULL });
	for (int i = 0; i < 8; i++) {
		char body[64];
		snprintf(body, sizeof body, "{'name':'s%d','auto_start':false}", i);
		rig_ask(&t, &a[i], &alice, "rdp.servers.create", NULL, 0, NULL, body);
	}
	unsigned made = 0;
	char ids[8][ID_UUID_SIZE];
	for (int i = 0; i < 8; i++) {
		rig_await(&t, &a[i]);
		if (!a[i].err)
			str_copy(ids[made++], ID_UUID_SIZE, doc_str(a[i].doc, "server_id", ""));
		else
			assert_int_equal(a[i].err, ERR_QUOTA);
	}
	assert_int_equal(made, 3);
	unsigned started = 0;
	for (int i = 0; i < 3; i++)
		rig_ask(&t, &a[i], &alice, "rdp.servers.start", ids[i], 0, "{'wait':true}", NULL);
	for (int i = 0; i < 3; i++) {
		rig_await(&t, &a[i]);
		started += !a[i].err;
		assert_true(!a[i].err || a[i].err == ERR_QUOTA);
	}
	assert_int_equal(started, 2);
	rig_call(&t, &a[0], &alice, "rdp.servers.delete", ids[0], NULL, NULL);
	rig_call(&t, &a[0], &alice, "rdp.servers.create", NULL, NULL, "{'name':'again','auto_start':false}");
	assert_int_equal(a[0].err, 0);
	rig_call(&t, &a[0], &bob, "rdp.servers.create", NULL, "{'wait':true}", "{'name':'b'}");
	assert_int_equal(a[0].err, 0);
	rig_call(&t, &a[0], &bob, "rdp.servers.create", NULL, NULL, "{'name':'c'}");
	assert_int_equal(a[0].err, ERR_QUOTA);
	for (int i = 0; i < 8; i++)
		answer_clear(&a[i]);
	rig_close(&t);
}

/* Before a refusal the agent is asked again, so that a profile that was just installed is accepted. */
static void test_no_default_profile(void **state)
{
	static const char made[] = "{'name':'one','auto_start':false}";
	struct rig t = { 0 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	t.default_fault = "no desktop is installed on this host";
	rig_open(&t, NULL);
	rig_call(&t, &a, &alice, "rdp.servers.create", NULL, NULL, made);
	assert_int_equal(a.err, ERR_INVALID);
	assert_string_equal(doc_str(json_array_get(a.details, 0), "field", ""), "desktop.profile");
	assert_string_equal(doc_str(json_array_get(a.details, 0), "message", ""), t.default_fault);
	assert_int_equal(rig_count(&t, COL_PORTS) + rig_count(&t, COL_NAMES) + rig_count(&t, COL_SERVERS), 0);
	rig_make(&t, id, NULL, "{'name':'named','auto_start':false,'desktop':{'profile':'openbox'}}");
	/* the profile is removed in each possible way */
	static const char *const away[] = { "{'desktop':{'profile':null}}", "{'desktop':null}" };
	for (size_t k = 0; k < ARRAY_LEN(away); k++) {
		rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, away[k]);
		assert_int_equal(a.err, ERR_INVALID);
		assert_true(names_field(&a, "desktop.profile"));
	}
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'desktop':{'max_sessions':2}}");
	assert_int_equal(a.err, 0);
	t.default_fault = NULL;
	rig_make(&t, id, NULL, made);
	unsigned asked = t.profiles_asked;
	rig_make(&t, id, NULL, "{'name':'two','auto_start':false}");
	assert_int_equal(t.profiles_asked, asked); /* if there is a default, no call waits for the agent */
	/* it existed when the server was created, and no longer does: it does not block other changes */
	t.default_fault = "gone";
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'desktop':{'max_sessions':2}}");
	assert_int_equal(a.err, 0);
	answer_clear(&a);
	rig_close(&t);
}

/* A manager that knows no profiles refuses none. */
static void test_unknown_profiles_are_accepted_without_a_list(void **state)
{
	struct rig t = { .away = ERR_UNAVAILABLE, .default_fault = "not told" };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	rig_make(&t, id, NULL, "{'name':'two','auto_start':false,'desktop':{'profile':'kde'}}");
	rig_close(&t);
}

static void test_update(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 }, b = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false,'limits':{'memory_mb':100,'tasks':50},'metadata':{'a':1,'b':{'c':2}}}");
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL,
		 "{'limits':{'memory_mb':null},'metadata':{'a':null,'b':{'d':3}},'display':{'width':1000},'description':null}");
	assert_int_equal(a.err, 0);
	assert_int_equal(a.version, 2);
	assert_null(doc_get(a.doc, "limits.memory_mb"));
	assert_int_equal(json_integer_value(doc_get(a.doc, "limits.tasks")), 50);
	assert_int_equal(json_integer_value(doc_get(a.doc, "metadata.b.c")), 2);
	assert_int_equal(json_integer_value(doc_get(a.doc, "metadata.b.d")), 3);
	assert_null(doc_get(a.doc, "metadata.a"));
	assert_int_equal(json_integer_value(doc_get(a.doc, "display.height")), 1080);
	assert_string_equal(doc_str(a.doc, "description", "?"), "");
	assert_false(doc_bool(a.doc, "pending_restart", true));
	rig_call(&t, &a, &alice, "rdp.servers.put", id, NULL, "{'port':20009,'server_id':'x','user_id':'bob','display':{'color_depth':17}}");
	assert_int_equal(a.err, ERR_INVALID);
	assert_true(names_field(&a, "port") && names_field(&a, "server_id") && names_field(&a, "user_id"));
	assert_true(names_field(&a, "display.color_depth"));
	rig_call(&t, &a, &admin, "rdp.servers.put", id, NULL, "{'node':'x','display':{'color_depth':17}}");
	assert_true(names_field(&a, "node"));
	rig_ask(&t, &a, &alice, "rdp.servers.patch", id, 1, NULL, "{'tags':['late']}");
	rig_await(&t, &a);
	assert_int_equal(a.err, ERR_STALE);
	/* two changes at once without If-Match: both are applied */
	rig_ask(&t, &a, &alice, "rdp.servers.patch", id, 0, NULL, "{'tags':['x']}");
	rig_ask(&t, &b, &alice, "rdp.servers.patch", id, 0, NULL, "{'description':'y'}");
	rig_await(&t, &a);
	rig_await(&t, &b);
	assert_int_equal(b.version, 4);
	assert_true(doc_array_has(doc_get(b.doc, "tags"), "x"));
	/* another process wrote in between */
	json_t *theirs = json_deep_copy(b.doc);
	doc_set_int(theirs, "version", 9);
	doc_set_str(theirs, "description", "theirs");
	rig_write(&t, STORE_REPLACE, COL_SERVERS, id, theirs);
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'tags':['z']}");
	assert_int_equal(a.err, 0);
	assert_int_equal(a.version, 10);
	assert_string_equal(doc_str(a.doc, "description", ""), "theirs");
	/* an admin gives it to bob; alice no longer has it, and her name is free again */
	rig_call(&t, &a, &admin, "rdp.servers.patch", id, NULL, "{'user_id':'bob'}");
	assert_int_equal(a.err, 0);
	assert_int_equal(objects_of_owner(rig_manager(&t)->objects, "alice"), 0);
	assert_int_equal(objects_of_owner(rig_manager(&t)->objects, "bob"), 1);
	rig_call(&t, &a, &alice, "rdp.servers.get", id, NULL, NULL);
	assert_int_equal(a.err, ERR_SERVER_NOT_FOUND);
	rig_make(&t, id, NULL, "{'name':'one','auto_start':false}");
	rig_ask(&t, &a, &alice, "rdp.servers.delete", id, 7, NULL, NULL);
	rig_await(&t, &a);
	assert_int_equal(a.err, ERR_STALE);
	/* null restores every default */
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'display':null,'desktop':null}");
	assert_int_equal(json_integer_value(doc_get(a.doc, "display.width")), 1920);
	assert_int_equal(json_integer_value(doc_get(a.doc, "desktop.max_sessions")), 10);
	answer_clear(&a);
	answer_clear(&b);
	rig_close(&t);
}

/* The document of GET is a change that changes nothing; with one member changed, it is that change. So is an item of a list. */
static void test_document_from_get_may_be_sent_back(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 }, b = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, "{'wait':true}", "{'name':'one','tags':['x'],'limits':{'tasks':50},'metadata':{'a':1,'none':null,'b':{'c':[null]}}}");
	rig_call(&t, &a, &alice, "rdp.servers.get", id, NULL, NULL);
	assert_null(doc_get(a.doc, "metadata.none"));
	int64_t version = a.version;
	static const char *const ops[] = { "rdp.servers.put", "rdp.servers.patch" };
	const struct caller *const callers[] = { &alice, &admin };
	for (size_t i = 0; i < 4; i++) {
		_cleanup_(xfreep) char *text = doc_text(a.doc);
		rig_call(&t, &b, callers[i / 2], ops[i % 2], id, NULL, text);
		if (b.err)
			fail_msg("%s: %s", ops[i % 2], b.message);
		assert_int_equal(b.version, version);
		assert_true(json_equal(a.doc, b.doc));
	}
	rig_call(&t, &b, &alice, "rdp.servers.list", NULL, NULL, NULL);
	json_t *item = json_incref(json_array_get(doc_get(b.doc, "servers"), 0));
	assert_non_null(json_object_get(item, "sessions"));
	doc_set_str(item, "description", "changed");
	t.events[0] = 0;
	_cleanup_(xfreep) char *text = doc_text(item);
	rig_call(&t, &b, &alice, "rdp.servers.put", id, NULL, text);
	assert_int_equal(b.err, 0);
	assert_int_equal(b.version, version + 1);
	assert_string_equal(doc_str(b.doc, "description", ""), "changed");
	/* it has another version by now, and the document has old values of read-only members */
	rig_call(&t, &b, &alice, "rdp.servers.put", id, NULL, text);
	assert_int_equal(b.err, ERR_INVALID);
	assert_true(names_field(&b, "version") && names_field(&b, "updated_at"));
	rig_call(&t, &b, &alice, "rdp.servers.put", id, NULL, "{'status':'stopped'}");
	assert_true(names_field(&b, "status"));
	json_decref(item);
	rig_call(&t, &a, &admin, "rdp.nodes.get", "node-1", NULL, NULL);
	doc_set_str(a.doc, "heartbeat_at", "2026-01-31T10:00:00.000Z"); /* it changes meanwhile */
	doc_set_int(a.doc, "version", 77);
	_cleanup_(xfreep) char *node = doc_text(a.doc);
	rig_call(&t, &b, &admin, "rdp.nodes.put", "node-1", NULL, node);
	assert_int_equal(b.err, 0);
	rig_call(&t, &b, &admin, "rdp.nodes.put", "node-1", NULL, "{'host':'elsewhere','status':'draining'}");
	assert_true(names_field(&b, "host") && names_field(&b, "status"));
	answer_clear(&a);
	answer_clear(&b);
	rig_close(&t);
}

static const char *connects_as(struct rig *t, const struct caller *who, const char *id, const char *query)
{
	static char name[300];
	struct answer a = { 0 }, file = { 0 };
	rig_call(t, &a, who, "rdp.servers.connection", id, query, NULL);
	assert_int_equal(a.err, 0);
	snprintf(name, sizeof name, "%s", doc_str(a.doc, "username", ""));
	/* the file has the same */
	rig_call(t, &file, who, "rdp.servers.rdp_file", id, query, NULL);
	assert_int_equal(file.err, 0);
	_cleanup_(xfreep) char *text = xstrndup(file.blob->data, file.blob->len), *line = xasprintf("username:s:%s\r\n", name);
	if (*name ? !strstr(text, line) : strstr(text, "username") != NULL)
		fail_msg("not \"%s\" in %s", name, text);
	answer_clear(&a);
	answer_clear(&file);
	return name;
}

/* A file that names an account that cannot log in would ask its user for a password that never works. */
static void test_connection_names_only_accounts_that_may_log_in(void **state)
{
	struct rig t = { .refused = "root bob" };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, (const char *const[]){ "RDP_USER_MAP=alice=al", NULL });
	rig_make(&t, id, "{'wait':true}", "{'name':'one','security':{'allowed_users':['al','eve']}}");
	assert_string_equal(connects_as(&t, &alice, id, NULL), "al");
	assert_string_equal(connects_as(&t, &admin, id, NULL), "");
	assert_string_equal(connects_as(&t, &admin, id, "{'username':'first.last@realm'}"), "first.last@realm");
	rig_call(&t, &a, &alice, "rdp.servers.rdp_file", id, "{'username':'a\\nb'}", NULL);
	assert_int_equal(a.err, ERR_INVALID);
	/* a role, or an admin, asks for a user; others do not learn the accounts of others */
	assert_string_equal(connects_as(&t, NULL, id, "{'user_id':'alice'}"), "al");
	assert_string_equal(connects_as(&t, &admin, id, "{'user_id':'bob'}"), "");
	assert_string_equal(connects_as(&t, &alice, id, "{'user_id':'alice'}"), "al");
	rig_call(&t, &a, &alice, "rdp.servers.connection", id, "{'user_id':'eve'}", NULL);
	assert_int_equal(a.err, ERR_INVALID);
	rig_call(&t, &a, &alice, "rdp.servers.rdp_file", id, "{'user_id':'eve'}", NULL);
	assert_int_equal(a.err, ERR_INVALID);
	t.refused = "al";
	assert_string_equal(connects_as(&t, &alice, id, NULL), "");
	/* the agent does not answer: the server's own list decides, and root is never named */
	t.away = ERR_UNAVAILABLE;
	assert_string_equal(connects_as(&t, &alice, id, NULL), "al");
	assert_string_equal(connects_as(&t, &admin, id, NULL), "");
	t.away = 0;
	rig_call(&t, &a, &alice, "rdp.servers.patch", id, NULL, "{'security':{'allowed_users':['eve']}}");
	t.away = ERR_UNAVAILABLE;
	assert_string_equal(connects_as(&t, &alice, id, NULL), "");
	t.away = 0;
	answer_clear(&a);
	rig_close(&t);
}

static void test_lists(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	char id[ID_UUID_SIZE];
	rig_open(&t, NULL);
	rig_make(&t, id, "{'wait':true}", "{'name':'alpha','tags':['red','blue']}");
	rig_make(&t, id, NULL, "{'name':'beta','tags':['red'],'auto_start':false}");
	rig_make(&t, id, NULL, "{'name':'alto','auto_start':false}");
	rig_call(&t, &a, &bob, "rdp.servers.create", NULL, NULL, "{'name':'alpha','auto_start':false}");
	rig_call(&t, &a, &alice, "rdp.servers.list", NULL, "{'sort':'name','limit':2}", NULL);
	assert_int_equal(json_array_size(doc_get(a.doc, "servers")), 2);
	const json_t *first = json_array_get(doc_get(a.doc, "servers"), 0), *second = json_array_get(doc_get(a.doc, "servers"), 1);
	assert_string_equal(doc_str(first, "name", ""), "alpha");
	assert_int_equal(json_integer_value(doc_get(first, "sessions.orphaned")), 2);
	assert_string_equal(doc_str(second, "name", ""), "alto");
	assert_int_equal(json_integer_value(doc_get(second, "sessions.active")), 0);
	assert_int_equal(json_integer_value(doc_get(a.doc, "pagination.total")), 3);
	assert_int_equal(json_integer_value(doc_get(a.doc, "pagination.pages")), 2);
	assert_true(json_is_true(doc_get(a.doc, "pagination.has_next")));
	rig_call(&t, &a, &alice, "rdp.servers.list", NULL, "{'sort':'-name','limit':2,'offset':2}", NULL);
	assert_int_equal(json_array_size(doc_get(a.doc, "servers")), 1);
	assert_true(json_is_true(doc_get(a.doc, "pagination.has_previous")));
	rig_call(&t, &a, &alice, "rdp.servers.list", NULL, "{'page':1,'offset':2}", NULL);
	assert_int_equal(a.err, ERR_INVALID);
	static const struct {
		const char *query;
		int64_t total;
	} rows[] = { { "{'tag':'red'}", 2 },	  { "{'q':'al'}", 2 },		 { "{'status':'stopped'}", 2 },
		     { "{'user_id':'bob'}", 0 },  { "{'node':'node-1'}", 3 },	 { "{'node':'other'}", 0 },
		     { "{'q':'%'}", 0 }, { "{'q':'L'}", 2 }, { "{'q':'PH'}", 1 }, { "{'q':'t','port':1}", 0 },	  { "{'tag':'red','q':'b'}", 1 } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		rig_call(&t, &a, &alice, "rdp.servers.list", NULL, rows[i].query, NULL);
		assert_int_equal(json_integer_value(doc_get(a.doc, "pagination.total")), rows[i].total);
	}
	rig_call(&t, &a, &alice, "rdp.servers.get", id, NULL, NULL);
	char by_port[40];
	snprintf(by_port, sizeof by_port, "{'port':%lld}", (long long)doc_int(a.doc, "port", 0));
	rig_call(&t, &a, &alice, "rdp.servers.list", NULL, by_port, NULL);
	assert_int_equal(json_integer_value(doc_get(a.doc, "pagination.total")), 1);
	assert_string_equal(doc_str(json_array_get(doc_get(a.doc, "servers"), 0), "server_id", ""), id);
	rig_call(&t, &a, &admin, "rdp.servers.list", NULL, "{'user_id':'bob'}", NULL);
	assert_int_equal(json_array_size(doc_get(a.doc, "servers")), 1);
	rig_call(&t, &a, &admin, "rdp.servers.list", NULL, NULL, NULL);
	assert_int_equal(json_array_size(doc_get(a.doc, "servers")), 4);
	answer_clear(&a);
	rig_close(&t);
}

/* The store refuses some of many requests: each gets the error, and nothing of the refused ones is left. */
static void test_busy_store(void **state)
{
	struct rig t = { .queue_limit = 2 };
	struct answer a[8] = { 0 };
	rig_open(&t, NULL);
	for (int i = 0; i < 8; i++) {
		char body[64];
		snprintf(body, sizeof body, "{'name':'s%d','auto_start':false}", i);
		rig_ask(&t, &a[i], &alice, "rdp.servers.create", NULL, 0, NULL, body);
	}
	int64_t made = 0;
	for (int i = 0; i < 8; i++) {
		rig_await(&t, &a[i]);
		made += !a[i].err;
		assert_true(!a[i].err || (a[i].err == ERR_BUSY && a[i].message[0]));
		answer_clear(&a[i]);
	}
	rig_rest(&t);
	assert_true(made > 0 && made < 8);
	assert_int_equal(rig_count(&t, COL_SERVERS), made);
	assert_int_equal(rig_count(&t, COL_PORTS), made);
	assert_int_equal(objects_of_owner(rig_manager(&t)->objects, "alice"), made);
	assert_int_equal(ports_count(place_of(rig_manager(&t), "node-1")->ports, PORT_ALLOCATED), made);
	rig_close(&t);
}

static void test_nodes(void **state)
{
	struct rig t = { 0 };
	struct answer a = { 0 };
	rig_open(&t, NULL);
	rig_call(&t, &a, &admin, "rdp.nodes.list", NULL, NULL, NULL);
	assert_int_equal(json_array_size(doc_get(a.doc, "nodes")), 1);
	assert_string_equal(doc_str(json_array_get(doc_get(a.doc, "nodes"), 0), "status", ""), "ready");
	rig_call(&t, &a, &admin, "rdp.nodes.put", "node-1", NULL, "{'draining':true,'labels':['gpu']}");
	assert_string_equal(doc_str(a.doc, "status", ""), "draining");
	const struct node_info *node = NULL; /* the placement reads them from the store, a moment later */
	for (int i = 0; i < 12000 && !((node = nodes_find(t.nodes, "node-1")) && node->status == NODE_DRAINING); i++)
		rig_run_ms(&t, 5);
	rig_call(&t, &a, &alice, "rdp.servers.create", NULL, NULL, "{'name':'n','auto_start':false}");
	assert_int_equal(a.err, ERR_CONFLICT);
	rig_call(&t, &a, &admin, "rdp.nodes.get", "elsewhere", NULL, NULL);
	assert_int_equal(a.err, ERR_NOT_FOUND);
	/* it is kept over a restart */
	rig_stop(&t);
	rig_start(&t);
	rig_rest(&t);
	rig_call(&t, &a, &admin, "rdp.nodes.get", "node-1", NULL, NULL);
	assert_true(doc_bool(a.doc, "draining", false));
	assert_true(a.version > 0 && a.version == doc_int(a.doc, "version", 0)); /* the value for If-Match */
	assert_true(doc_array_has(doc_get(a.doc, "labels"), "gpu"));
	answer_clear(&a);
	rig_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create), cmocka_unit_test(test_bad_input), cmocka_unit_test(test_ports),
		cmocka_unit_test(test_names),  cmocka_unit_test(test_quotas),	 cmocka_unit_test(test_update),
		cmocka_unit_test(test_no_default_profile), cmocka_unit_test(test_unknown_profiles_are_accepted_without_a_list), cmocka_unit_test(test_document_from_get_may_be_sent_back),
		cmocka_unit_test(test_connection_names_only_accounts_that_may_log_in),
		cmocka_unit_test(test_lists),  cmocka_unit_test(test_busy_store), cmocka_unit_test(test_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
