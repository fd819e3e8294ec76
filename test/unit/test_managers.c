/* Two managers on one store, with one agent: whatever both are asked at once, no port is given out twice and no operation is
 * done twice; what one leaves undone the other does. */
#include "servers_rig.h"

#include "bus/transport.h"

struct pair {
	struct rig a, b;
	struct transport from_a, from_b;
	bool deaf; /* events do not pass between them */
};

static struct pair *the_pair;

static void carry(struct bus *to, struct bus *from, const struct event *e)
{
	struct event copy = *e;
	copy.origin = bus_origin(from);
	if (!the_pair->deaf)
		bus_deliver_foreign(to, &copy, json_incref(e->data));
}

static void to_b(struct transport *t, const struct event *e)
{
	carry(the_pair->b.bus, the_pair->a.bus, e);
}

static void to_a(struct transport *t, const struct event *e)
{
	carry(the_pair->a.bus, the_pair->b.bus, e);
}

/* Time runs ten times as fast as in the program. */
static void hurry(struct rig *t)
{
	struct manager *m = rig_manager(t);
	m->renew_ms = 100;
	m->busy_ms = 400;
	m->scan_ms = 50;
}

static void pair_open(struct pair *p, const char *const *settings)
{
	memset(p, 0, sizeof *p);
	the_pair = p;
	p->a.shared = p->b.shared = true;
	rig_open(&p->a, settings);
	hurry(&p->a);
	p->b.with = &p->a;
	p->a.joined = &p->b;
	p->b.config = p->a.config;
	rig_start(&p->b);
	hurry(&p->b);
	p->from_a = (struct transport){ .name = "a", .publish = to_b };
	p->from_b = (struct transport){ .name = "b", .publish = to_a };
	bus_carry_events(p->a.bus, &p->from_a);
	bus_carry_events(p->b.bus, &p->from_b);
	rig_rest(&p->b);
	rig_run_ms(&p->a, 400); /* somebody has the leases by now */
}

static void pair_close(struct pair *p)
{
	bus_carry_events(p->a.bus, NULL);
	bus_carry_events(p->b.bus, NULL);
	rig_stop(&p->b);
	rig_close(&p->a);
}

static void both(struct pair *p, struct answer x[2], const char *op, const char *id, const char *query, const char *body)
{
	rig_ask(&p->a, &x[0], &alice, op, id, 0, query, body);
	rig_ask(&p->b, &x[1], &alice, op, id, 0, query, body);
	rig_await(&p->a, &x[0]);
	rig_await(&p->b, &x[1]);
}

static void clear(struct answer x[2])
{
	answer_clear(&x[0]);
	answer_clear(&x[1]);
}

/* Until the server has this status at both. */
static void until(struct pair *p, const char *id, const char *status)
{
	for (int i = 0; i < 400; i++) {
		if (str_eq(rig_status(&p->a, id), status) && str_eq(rig_status(&p->b, id), status))
			return;
		rig_run_ms(&p->a, 10);
	}
	fail_msg("it is %s, not %s", rig_status(&p->a, id), status);
}

static void test_names_and_ports(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 }, many[10] = { 0 };
	pair_open(&p, NULL);
	both(&p, x, "rdp.servers.create", NULL, NULL, "{'name':'one','auto_start':false}");
	assert_int_equal(!x[0].err + !x[1].err, 1);
	assert_int_equal(x[x[0].err ? 0 : 1].err, ERR_CONFLICT);
	char id[ID_UUID_SIZE];
	str_copy(id, sizeof id, doc_str(x[x[0].err ? 1 : 0].doc, "server_id", ""));
	clear(x);
	/* nine ports are left; ten ask, five here and five there */
	for (int i = 0; i < 10; i++) {
		char body[80];
		snprintf(body, sizeof body, "{'name':'n%d','auto_start':false}", i);
		rig_ask(i % 2 ? &p.a : &p.b, &many[i], &admin, "rdp.servers.create", NULL, 0, NULL, body);
	}
	unsigned seen = 0, refused = 0;
	for (int i = 0; i < 10; i++) {
		rig_await(&p.a, &many[i]);
		int port = (int)doc_int(many[i].doc, "port", 20000);
		if (many[i].err) {
			assert_int_equal(many[i].err, ERR_NO_PORT);
			refused++;
			continue;
		}
		assert_false(seen & 1u << (port - 20000));
		seen |= 1u << (port - 20000);
		answer_clear(&many[i]);
	}
	assert_int_equal(refused, 1);
	assert_int_equal(rig_count(&p.a, COL_PORTS), 10);
	assert_int_equal(rig_count(&p.a, COL_SERVERS), 10);
	assert_int_equal(rig_count(&p.a, COL_NAMES), 10);
	both(&p, x, "rdp.servers.delete", id, NULL, NULL);
	clear(x);
	/* one port is free, and both are asked for it by number */
	for (int i = 0; i < 2; i++)
		rig_ask(i ? &p.a : &p.b, &x[i], &admin, "rdp.servers.create", NULL, 0, NULL,
			i ? "{'name':'x','auto_start':false,'port':20000}" : "{'name':'y','auto_start':false,'port':20000}");
	rig_await(&p.a, &x[0]);
	rig_await(&p.a, &x[1]);
	assert_true(!x[0].err + !x[1].err <= 1);
	assert_int_equal(rig_count(&p.a, COL_PORTS), rig_count(&p.a, COL_SERVERS));
	for (int i = 0; i < 10; i++)
		answer_clear(&many[i]);
	clear(x);
	pair_close(&p);
}

static void test_start_and_stop(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, NULL, "{'name':'one','auto_start':false}");
	both(&p, x, "rdp.servers.start", id, NULL, NULL);
	for (int i = 0; i < 2; i++)
		assert_true(!x[i].err && (x[i].status == 202 || x[i].status == 200));
	until(&p, id, "running");
	assert_int_equal(p.a.starts, 1);
	both(&p, x, "rdp.servers.stop", id, "{'wait':true}", NULL);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(x[i].status, 200);
		assert_string_equal(doc_str(x[i].doc, "status", ""), "stopped");
	}
	assert_int_equal(p.a.stops, 1);
	/* with ?wait the second waits for what the first does */
	p.a.hold = true;
	rig_ask(&p.a, &x[0], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	rig_run_ms(&p.a, 100);
	rig_ask(&p.b, &x[1], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	rig_run_ms(&p.a, 900); /* twice as long as a dead one would have: it is renewed all the while */
	assert_false(x[0].over || x[1].over);
	assert_int_equal(p.a.starts, 2);
	p.a.hold = false;
	agent_answer_start(&p.a, TAKE_PTR(p.a.held));
	for (int i = 0; i < 2; i++) {
		rig_await(&p.a, &x[i]);
		assert_int_equal(x[i].status, 200);
		assert_string_equal(doc_str(x[i].doc, "status", ""), "running");
	}
	assert_int_equal(p.a.starts, 2);
	/* events say it once, at both */
	rig_run_ms(&p.a, 50);
	assert_string_equal(p.a.events, p.b.events + (strlen(p.b.events) - strlen(p.a.events)));
	clear(x);
	pair_close(&p);
}

static void test_delete(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, "{'wait':'running'}", "{'name':'one'}");
	both(&p, x, "rdp.servers.delete", id, NULL, NULL);
	assert_int_equal(!x[0].err + !x[1].err, 1);
	assert_int_equal(x[x[0].err ? 0 : 1].err, ERR_SERVER_NOT_FOUND);
	assert_int_equal(p.a.stops, 1);
	for (int col = COL_SERVERS; col <= COL_NAMES; col++)
		if (col != COL_SESSIONS)
			assert_int_equal(rig_count(&p.a, (enum store_collection)col), 0);
	const char *first = strstr(p.a.events, "server.deleted");
	assert_non_null(first);
	assert_null(strstr(first + 1, "server.deleted"));
	assert_int_equal(map_count(rig_manager(&p.a)->servers) + map_count(rig_manager(&p.b)->servers), 0);
	clear(x);
	pair_close(&p);
}

static void test_delete_while_starting(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, NULL, "{'name':'one','auto_start':false}");
	p.a.hold = true;
	rig_ask(&p.a, &x[0], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	rig_run_ms(&p.a, 50);
	rig_ask(&p.b, &x[1], &alice, "rdp.servers.delete", id, 0, "{'force':true}", NULL);
	rig_run_ms(&p.a, 600);
	assert_false(x[1].over); /* it comes second */
	assert_int_equal(p.a.stops, 0);
	p.a.hold = false;
	agent_answer_start(&p.a, TAKE_PTR(p.a.held));
	rig_await(&p.a, &x[0]);
	rig_await(&p.b, &x[1]);
	assert_false(x[0].err || x[1].err);
	assert_int_equal(p.a.starts, 1);
	assert_int_equal(p.a.stops, 1);
	assert_int_equal(rig_count(&p.a, COL_SERVERS), 0);
	clear(x);
	pair_close(&p);
}

static void test_change_while_starting(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, NULL, "{'name':'one','auto_start':false}");
	p.a.hold = true;
	rig_ask(&p.a, &x[0], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	rig_run_ms(&p.a, 50);
	rig_ask(&p.b, &x[1], &alice, "rdp.servers.patch", id, 0, NULL, "{'description':'new'}");
	rig_run_ms(&p.a, 300);
	p.a.hold = false;
	agent_answer_start(&p.a, TAKE_PTR(p.a.held));
	rig_await(&p.a, &x[0]);
	rig_await(&p.b, &x[1]);
	assert_false(x[0].err || x[1].err);
	rig_call(&p.a, &x[0], &alice, "rdp.servers.get", id, NULL, NULL);
	assert_string_equal(doc_str(x[0].doc, "status", ""), "running");
	assert_string_equal(doc_str(x[0].doc, "description", ""), "new");
	clear(x);
	pair_close(&p);
}

/* As if its process were killed: it renews nothing and has no lease any more; what it asked the agent is under way. */
static void die(struct rig *t)
{
	struct manager *m = rig_manager(t);
	struct map_pos pos = { 0 };
	struct server *s;
	while (map_next(m->servers, &pos, NULL, (void **)&s)) {
		loop_timer_free(s->renew);
		s->renew = NULL;
	}
	manager_lead_end(m);
	loop_timer_free(m->scan_timer);
	m->scan_timer = NULL;
	loop_timer_clear(m->look_timer); /* a look at the agents wants the leases again, as does a node that is back */
	nodes_on_change(t->nodes, NULL, NULL);
}

static void test_taken_over(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE], two[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, NULL, "{'name':'one','auto_start':false}");
	p.deaf = true; /* also without a word from anybody */
	p.a.hold = true;
	rig_ask(&p.a, &x[0], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	rig_run_ms(&p.a, 50);
	assert_non_null(p.a.held);
	struct call *lost = TAKE_PTR(p.a.held);
	p.a.hold = false;
	die(&p.a);
	until(&p, id, "running");
	assert_int_equal(p.a.starts, 2); /* the agent had nothing of it, so it was asked once more */
	rig_call(&p.b, &x[1], &alice, "rdp.servers.stop", id, "{'wait':true}", NULL);
	assert_int_equal(x[1].status, 200);
	/* the answer that came too late changes nothing */
	agent_answer_start(&p.a, lost);
	rig_await(&p.a, &x[0]);
	assert_int_equal(x[0].err, 0);
	json_object_clear(p.a.instances);
	rig_run_ms(&p.a, 100);
	assert_string_equal(rig_status(&p.b, id), "stopped");
	/* a stop that nobody ends is ended; one that was made and never begun begins */
	json_t *doc = json_copy(x[1].doc);
	doc_set_str(doc, "status", "stopping");
	doc_set_int(doc, "version", doc_int(doc, "version", 0) + 1);
	rig_set(&p.a, id, "running", NULL);
	assert_int_equal(rig_write(&p.a, STORE_PUT, COL_SERVERS, id, doc), STORE_OK);
	until(&p, id, "stopped");
	doc = json_copy(x[1].doc);
	id_uuid(two);
	doc_set_str(doc, "server_id", two);
	doc_set_str(doc, "name", "two");
	doc_set_int(doc, "port", 20005);
	doc_set_str(doc, "status", "creating");
	assert_int_equal(rig_write(&p.a, STORE_INSERT, COL_SERVERS, two, doc), STORE_OK);
	until(&p, two, "running");
	clear(x);
	pair_close(&p);
}

/* As if it had never heard of any server. */
static void owner_forget(struct rig *t)
{
	struct map_pos pos = { 0 };
	struct server *s;
	while (map_next(rig_manager(t)->servers, &pos, NULL, (void **)&s))
		server_drop(s);
}

static void test_following(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, (const char *[]){ "MAX_SERVERS_PER_USER=2", NULL });
	rig_make(&p.a, id, NULL, "{'name':'one','auto_start':false}");
	rig_make(&p.a, id, "{'wait':'running'}", "{'name':'two'}");
	rig_run_ms(&p.a, 20);
	const struct server *s = server_find(rig_manager(&p.b), id);
	assert_non_null(s);
	assert_int_equal(s->status, SERVER_RUNNING);
	assert_int_equal(s->stored_version, server_find(rig_manager(&p.a), id)->version);
	/* what one counts the other counts */
	rig_call(&p.b, &x[1], &alice, "rdp.servers.create", NULL, NULL, "{'name':'three','auto_start':false}");
	assert_int_equal(x[1].err, ERR_QUOTA);
	/* nothing is old after an answer, whoever is asked, and though no event came */
	p.deaf = true;
	rig_call(&p.a, &x[0], &alice, "rdp.servers.patch", id, NULL, "{'description':'changed'}");
	rig_call(&p.b, &x[1], &alice, "rdp.servers.get", id, NULL, NULL);
	assert_string_equal(doc_str(x[1].doc, "description", ""), "changed");
	rig_call(&p.a, &x[0], &alice, "rdp.servers.delete", id, "{'force':true}", NULL);
	assert_int_equal(x[0].err, 0);
	rig_call(&p.b, &x[1], &alice, "rdp.servers.get", id, NULL, NULL);
	assert_int_equal(x[1].err, ERR_SERVER_NOT_FOUND);
	assert_int_equal(map_count(rig_manager(&p.b)->servers), 2); /* it has not heard of it */
	/* quotas look at the store when they may matter */
	rig_call(&p.a, &x[0], &alice, "rdp.servers.create", NULL, NULL, "{'name':'more','auto_start':false}");
	assert_int_equal(x[0].err, 0);
	owner_forget(&p.b);
	rig_call(&p.b, &x[1], &alice, "rdp.servers.create", NULL, NULL, "{'name':'too many','auto_start':false}");
	assert_int_equal(x[1].err, ERR_QUOTA);
	assert_int_equal(rig_count(&p.a, COL_SERVERS), rig_count(&p.a, COL_PORTS));
	/* events were missed: all is looked at */
	p.deaf = false;
	bus_gap(p.b.bus, "");
	for (int i = 0; i < 200 && (map_count(rig_manager(&p.b)->servers) != 2 || server_find(rig_manager(&p.b), id)); i++)
		rig_run_ms(&p.a, 10);
	assert_int_equal(map_count(rig_manager(&p.b)->servers), 2);
	assert_null(server_find(rig_manager(&p.b), id));
	clear(x);
	pair_close(&p);
}

/* One manager hears of a new server before it hears that the one which had its port is gone: the port is the new one's all the same. */
static void test_port_of_two(void **state)
{
	struct pair p;
	char old[ID_UUID_SIZE], new[ID_UUID_SIZE];
	struct answer x = { 0 };
	pair_open(&p, (const char *[]){ "PORT_RANGE_START=20000", "PORT_RANGE_END=20000", NULL });
	rig_make(&p.a, old, NULL, "{'name':'old','auto_start':false}");
	rig_run_ms(&p.a, 20);
	assert_non_null(server_find(rig_manager(&p.b), old));
	p.deaf = true;
	rig_call(&p.a, &x, &alice, "rdp.servers.delete", old, NULL, NULL);
	assert_int_equal(x.err, 0);
	rig_make(&p.a, new, NULL, "{'name':'new','auto_start':false}");
	bus_gap(p.b.bus, "");
	for (int i = 0; i < 200 && (!server_find(rig_manager(&p.b), new) || server_find(rig_manager(&p.b), old)); i++)
		rig_run_ms(&p.a, 10);
	assert_null(server_find(rig_manager(&p.b), old));
	const struct ports *ports = place_of(rig_manager(&p.b), "node-1")->ports;
	assert_int_equal(ports_get(ports, 20000), PORT_ALLOCATED);
	assert_int_equal(ports_count(ports, PORT_ALLOCATED), 1);
	rig_call(&p.b, &x, &alice, "rdp.servers.delete", new, NULL, NULL);
	assert_int_equal(ports_count(ports, PORT_ALLOCATED), 0);
	answer_clear(&x);
	pair_close(&p);
}

static void test_one_looks(void **state)
{
	struct pair p;
	char id[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, "{'wait':'running'}", "{'name':'one'}");
	rig_run_ms(&p.a, 20);
	struct place *here = place_of(rig_manager(&p.a), "node-1"), *there = place_of(rig_manager(&p.b), "node-1");
	assert_int_equal(place_leads(here) + place_leads(there), 1);
	/* the instance goes; both hear of it, one acts */
	json_object_clear(p.a.instances);
	unsigned before = p.a.starts;
	rig_publish(&p.a, "xrdp.instance.status", id);
	rig_run_ms(&p.a, 300);
	until(&p, id, "running");
	assert_int_equal(p.a.starts, before + 1);
	/* and the other when that one has left */
	die(place_leads(here) ? &p.a : &p.b);
	for (int i = 0; i < 300 && !(place_leads(here) || place_leads(there)); i++)
		rig_run_ms(&p.a, 10);
	assert_int_equal(place_leads(here) + place_leads(there), 1);
	json_object_clear(p.a.instances);
	rig_publish(&p.b, "xrdp.instance.status", id);
	rig_run_ms(&p.a, 300);
	assert_int_equal(p.a.starts, before + 2);
	pair_close(&p);
}

/* What each manager hears of the nodes; what comes from the other as "them". */
static void heard_node(const struct event *e, void *arg)
{
	char *to = arg;
	size_t n = strlen(to);
	snprintf(to + n, 256 - n, "%s=%s%s ", e->object_id, doc_str(e->data, "status", ""), *e->origin ? " (them)" : "");
}

static void put_node(struct pair *p, const char *node, int64_t version, bool draining)
{
	json_t *doc = json_pack("{s:s, s:s, s:I, s:b, s:I}", "node", node, "url", "", "beat", (json_int_t)version, "draining", draining,
				"version", (json_int_t)version);
	doc_set_time(doc, "heartbeat_at", clock_wall_ms());
	assert_int_equal(rig_write(&p->a, STORE_PUT, COL_NODES, node, doc), STORE_OK);
}

static void until_said(struct pair *p, const char *said, size_t n)
{
	for (int i = 0; i < 400 && strlen(said) < n; i++)
		rig_run_ms(&p->a, 10);
	rig_run_ms(&p->a, 150); /* and nothing more comes */
}

/* Each change of a node is said once, by the manager that has its lease, however many see it. */
static void test_node_said_once(void **state)
{
	struct pair p;
	char a[256] = "", b[256] = "";
	pair_open(&p, NULL);
	struct manager *of_a = rig_manager(&p.a), *of_b = rig_manager(&p.b);
	of_a->say_ms = of_b->say_ms = 60000;
	struct subscription *sub[2] = { bus_subscribe(p.a.bus, "node.status", heard_node, a),
					bus_subscribe(p.b.bus, "node.status", heard_node, b) };
	put_node(&p, "new", 1, false); /* whose lease nobody has yet */
	until_said(&p, a, 10);
	assert_int_equal(place_leads(place_of(of_a, "new")) + place_leads(place_of(of_b, "new")), 1);
	bool a_leads = place_leads(place_of(of_a, "new"));
	assert_string_equal(a, a_leads ? "new=ready " : "new=ready (them) ");
	assert_string_equal(b, a_leads ? "new=ready (them) " : "new=ready ");
	a[0] = b[0] = 0;
	put_node(&p, "new", 2, true);
	until_said(&p, a, 10);
	assert_string_equal(a, a_leads ? "new=draining " : "new=draining (them) ");
	assert_string_equal(b, a_leads ? "new=draining (them) " : "new=draining ");
	/* one that has left says nothing; who is given its lease does, though it saw the change before */
	a[0] = b[0] = 0;
	p.deaf = true;
	die(a_leads ? &p.a : &p.b);
	put_node(&p, "new", 3, false);
	until_said(&p, a_leads ? b : a, 10);
	assert_string_equal(a_leads ? b : a, "new=ready ");
	assert_string_equal(a_leads ? a : b, "");
	for (int i = 0; i < 2; i++)
		bus_unsubscribe(sub[i]);
	pair_close(&p);
}

/* Where nothing is heard of whoever has the lease it is said all the same, after a while. */
static void test_node_said_late(void **state)
{
	struct pair p;
	char a[256] = "", b[256] = "";
	pair_open(&p, NULL);
	rig_manager(&p.a)->say_ms = rig_manager(&p.b)->say_ms = 300;
	struct subscription *sub[2] = { bus_subscribe(p.a.bus, "node.status", heard_node, a),
					bus_subscribe(p.b.bus, "node.status", heard_node, b) };
	p.deaf = true;
	put_node(&p, "new", 1, false);
	until_said(&p, a, 10);
	until_said(&p, b, 10);
	assert_string_equal(a, "new=ready ");
	assert_string_equal(b, "new=ready ");
	for (int i = 0; i < 2; i++)
		bus_unsubscribe(sub[i]);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_ports),	    cmocka_unit_test(test_start_and_stop),
		cmocka_unit_test(test_delete),		    cmocka_unit_test(test_delete_while_starting),
		cmocka_unit_test(test_change_while_starting), cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_following),	    cmocka_unit_test(test_port_of_two),
		cmocka_unit_test(test_one_looks),	    cmocka_unit_test(test_node_said_once),
		cmocka_unit_test(test_node_said_late),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
