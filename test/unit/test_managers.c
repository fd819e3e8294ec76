/* Two managers on one store, with one agent: whatever both are called for at the same time, no port is assigned twice and no operation runs twice;
 * each completes what the other one left. */
#include "servers_rig.h"

#include "bus/transport.h"

struct pair {
	struct rig a, b;
	struct transport from_a, from_b;
	bool deaf; /* events do not reach the other manager */
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

#define BUSY_MS_SHORT 400 /* for operations that a dead manager left */

/* All intervals are shorter than in the program. A stalled operation is left to its manager for as long as a busy machine may pause. */
static void hurry(struct rig *t)
{
	struct manager *m = rig_manager(t);
	m->objects->renew_ms = 100;
	m->objects->busy_ms = RIG_PATIENCE_MS;
	m->objects->scan_ms = 50;
}

static int leaders(struct pair *p, const char *node)
{
	return place_leads(place_of(rig_manager(&p->a), node)) + place_leads(place_of(rig_manager(&p->b), node));
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
	RIG_UNTIL(&p->a, leaders(p, "node-1") == 1);
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
	for (int i = 0; i < RIG_PATIENCE_MS / 10; i++) {
		if (str_eq(rig_status(&p->a, id), status) && str_eq(rig_status(&p->b, id), status))
			return;
		rig_run_ms(&p->a, 10);
	}
	fail_msg("it is %s, not %s", rig_status(&p->a, id), status);
}

/* Until the second manager has seen that the first renews the claim. */
static void until_renewed(struct pair *p, const char *id)
{
	RIG_UNTIL(&p->a, server_find(rig_manager(&p->b), id));
	const struct server *s = server_find(rig_manager(&p->b), id);
	int64_t version = s->o.version, seen_us = s->o.seen_us;
	RIG_UNTIL(&p->a, s->o.version > version && s->o.seen_us > seen_us);
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
	/* nine ports are left for ten requests, five at each */
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
	/* with ?wait the second one waits for the operation of the first */
	p.a.hold = true;
	rig_ask(&p.a, &x[0], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	RIG_UNTIL(&p.a, p.a.held);
	rig_ask(&p.b, &x[1], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	for (int i = 0; i < 5; i++)
		until_renewed(&p, id);
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
	/* events report it once, at both */
	RIG_UNTIL(&p.a, strlen(p.a.events) <= strlen(p.b.events));
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
	rig_make(&p.a, id, "{'wait':true}", "{'name':'one'}");
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
	assert_int_equal(objects_count(rig_manager(&p.a)->objects) + objects_count(rig_manager(&p.b)->objects), 0);
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
	RIG_UNTIL(&p.a, p.a.held);
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
	RIG_UNTIL(&p.a, p.a.held);
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

/* As if its process was killed: it renews nothing and has no leases; its calls to the agent are in flight. */
static void die(struct rig *t)
{
	struct manager *m = rig_manager(t);
	struct map_pos pos = { 0 };
	struct server *s;
	while ((s = server_next(m, &pos))) {
		loop_timer_free(s->o.renew);
		s->o.renew = NULL;
	}
	node_leader_end(m);
	loop_timer_free(m->objects->scan_timer);
	m->objects->scan_timer = NULL;
	loop_timer_clear(m->look_timer); /* a poll of the agents needs the leases again, as does a node that returns */
	nodes_on_change(t->nodes, NULL, NULL);
}

static void test_abandoned_operations_are_completed(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE], two[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, NULL, "{'name':'one','auto_start':false}");
	p.deaf = true; /* also without any event */
	p.a.hold = true;
	rig_ask(&p.a, &x[0], &alice, "rdp.servers.start", id, 0, "{'wait':true}", NULL);
	RIG_UNTIL(&p.a, p.a.held);
	struct call *lost = TAKE_PTR(p.a.held);
	p.a.hold = false;
	die(&p.a);
	rig_manager(&p.a)->objects->busy_ms = rig_manager(&p.b)->objects->busy_ms = BUSY_MS_SHORT;
	until(&p, id, "running");
	assert_int_equal(p.a.starts, 2); /* the agent had nothing of it, so it was called again */
	rig_call(&p.b, &x[1], &alice, "rdp.servers.stop", id, "{'wait':true}", NULL);
	assert_int_equal(x[1].status, 200);
	/* the late answer changes nothing */
	agent_answer_start(&p.a, lost);
	rig_await(&p.a, &x[0]);
	assert_int_equal(x[0].err, 0);
	json_object_clear(p.a.instances);
	rig_run_ms(&p.a, 100);
	assert_string_equal(rig_status(&p.b, id), "stopped");
	/* an abandoned stop is completed; one that was stored but never begun begins */
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

/* As if it did not know any server. */
static void owner_forget(struct rig *t)
{
	struct map_pos pos = { 0 };
	struct server *s;
	while ((s = server_next(rig_manager(t), &pos)))
		object_drop(&s->o);
}

static void test_following(void **state)
{
	struct pair p;
	struct answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, (const char *[]){ "MAX_SERVERS_PER_USER=2", NULL });
	rig_make(&p.a, id, NULL, "{'name':'one','auto_start':false}");
	rig_make(&p.a, id, "{'wait':true}", "{'name':'two'}");
	const struct server *s;
	RIG_UNTIL(&p.a, (s = server_find(rig_manager(&p.b), id)) && s->o.state == SERVER_RUNNING);
	assert_int_equal(s->o.stored_version, server_find(rig_manager(&p.a), id)->o.version);
	/* both count the same */
	rig_call(&p.b, &x[1], &alice, "rdp.servers.create", NULL, NULL, "{'name':'three','auto_start':false}");
	assert_int_equal(x[1].err, ERR_QUOTA);
	/* a read after an answer is current at both, even without events */
	p.deaf = true;
	rig_call(&p.a, &x[0], &alice, "rdp.servers.patch", id, NULL, "{'description':'changed'}");
	rig_call(&p.b, &x[1], &alice, "rdp.servers.get", id, NULL, NULL);
	assert_string_equal(doc_str(x[1].doc, "description", ""), "changed");
	rig_call(&p.a, &x[0], &alice, "rdp.servers.delete", id, "{'force':true}", NULL);
	assert_int_equal(x[0].err, 0);
	rig_call(&p.b, &x[1], &alice, "rdp.servers.get", id, NULL, NULL);
	assert_int_equal(x[1].err, ERR_SERVER_NOT_FOUND);
	assert_int_equal(objects_count(rig_manager(&p.b)->objects), 2); /* it does not know the server */
	/* quotas are counted in the store if they matter */
	rig_call(&p.a, &x[0], &alice, "rdp.servers.create", NULL, NULL, "{'name':'more','auto_start':false}");
	assert_int_equal(x[0].err, 0);
	owner_forget(&p.b);
	rig_call(&p.b, &x[1], &alice, "rdp.servers.create", NULL, NULL, "{'name':'too many','auto_start':false}");
	assert_int_equal(x[1].err, ERR_QUOTA);
	assert_int_equal(rig_count(&p.a, COL_SERVERS), rig_count(&p.a, COL_PORTS));
	/* events were missed: everything is read */
	p.deaf = false;
	bus_gap(p.b.bus, "");
	RIG_UNTIL(&p.a, objects_count(rig_manager(&p.b)->objects) == 2 && !server_find(rig_manager(&p.b), id));
	clear(x);
	pair_close(&p);
}

/* One manager learns of a new server before it learns that the previous one with its port is deleted: the port belongs to the new one. */
static void test_port_of_a_new_server_and_a_deleted_one(void **state)
{
	struct pair p;
	char old[ID_UUID_SIZE], new[ID_UUID_SIZE];
	struct answer x = { 0 };
	pair_open(&p, (const char *[]){ "PORT_RANGE_START=20000", "PORT_RANGE_END=20000", NULL });
	rig_make(&p.a, old, NULL, "{'name':'old','auto_start':false}");
	RIG_UNTIL(&p.a, server_find(rig_manager(&p.b), old));
	p.deaf = true;
	rig_call(&p.a, &x, &alice, "rdp.servers.delete", old, NULL, NULL);
	assert_int_equal(x.err, 0);
	rig_make(&p.a, new, NULL, "{'name':'new','auto_start':false}");
	bus_gap(p.b.bus, "");
	RIG_UNTIL(&p.a, server_find(rig_manager(&p.b), new) && !server_find(rig_manager(&p.b), old));
	const struct ports *ports = place_of(rig_manager(&p.b), "node-1")->ports;
	assert_int_equal(ports_get(ports, 20000), PORT_ALLOCATED);
	assert_int_equal(ports_count(ports, PORT_ALLOCATED), 1);
	rig_call(&p.b, &x, &alice, "rdp.servers.delete", new, NULL, NULL);
	assert_int_equal(ports_count(ports, PORT_ALLOCATED), 0);
	answer_clear(&x);
	pair_close(&p);
}

static void test_one_manager_polls(void **state)
{
	struct pair p;
	char id[ID_UUID_SIZE];
	pair_open(&p, NULL);
	rig_make(&p.a, id, "{'wait':true}", "{'name':'one'}");
	RIG_UNTIL(&p.a, server_find(rig_manager(&p.b), id));
	assert_int_equal(leaders(&p, "node-1"), 1);
	/* the instance dies; both are told, one acts */
	json_object_clear(p.a.instances);
	unsigned before = p.a.starts;
	rig_publish(&p.a, "xrdp.instance.status", id);
	RIG_UNTIL(&p.a, p.a.starts > before);
	rig_run_ms(&p.a, 300);
	until(&p, id, "running");
	assert_int_equal(p.a.starts, before + 1);
	/* and the other one after the first has left */
	die(place_leads(place_of(rig_manager(&p.a), "node-1")) ? &p.a : &p.b);
	RIG_UNTIL(&p.a, leaders(&p, "node-1") == 1);
	json_object_clear(p.a.instances);
	rig_publish(&p.b, "xrdp.instance.status", id);
	RIG_UNTIL(&p.a, p.a.starts > before + 1);
	rig_run_ms(&p.a, 300);
	assert_int_equal(p.a.starts, before + 2);
	pair_close(&p);
}

/* The node events of each manager; those from the other one as "them". */
static void heard_node(const struct event *e, void *arg)
{
	char *to = arg;
	size_t n = strlen(to);
	if (strcmp(e->object_id, "new") != 0)
		return; /* node-1 is the rig's own, and may be announced at any moment */
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
	RIG_UNTIL(&p->a, strlen(said) >= n);
	rig_run_ms(&p->a, 150); /* and no more follow */
}

/* Each change of a node is published once, by the manager that has its lease, however many see it. */
static void test_node_change_is_published_once(void **state)
{
	struct pair p;
	char a[256] = "", b[256] = "";
	pair_open(&p, NULL);
	struct manager *of_a = rig_manager(&p.a), *of_b = rig_manager(&p.b);
	of_a->say_ms = of_b->say_ms = 60000;
	struct subscription *sub[2] = { bus_subscribe(p.a.bus, "node.status", heard_node, a),
					bus_subscribe(p.b.bus, "node.status", heard_node, b) };
	put_node(&p, "new", 1, false); /* whose lease no manager has yet */
	until_said(&p, a, 10);
	assert_int_equal(leaders(&p, "new"), 1);
	bool a_leads = place_leads(place_of(of_a, "new"));
	assert_string_equal(a, a_leads ? "new=ready " : "new=ready (them) ");
	assert_string_equal(b, a_leads ? "new=ready (them) " : "new=ready ");
	a[0] = b[0] = 0;
	put_node(&p, "new", 2, true);
	until_said(&p, a, 10);
	assert_string_equal(a, a_leads ? "new=draining " : "new=draining (them) ");
	assert_string_equal(b, a_leads ? "new=draining (them) " : "new=draining ");
	/* one that has left publishes nothing; the one that gets its lease does, although it saw the change before */
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

/* If the holder of the lease does not publish it, another one does after a while. */
static void test_node_change_is_published_late(void **state)
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
		cmocka_unit_test(test_change_while_starting), cmocka_unit_test(test_abandoned_operations_are_completed),
		cmocka_unit_test(test_following),	    cmocka_unit_test(test_port_of_a_new_server_and_a_deleted_one),
		cmocka_unit_test(test_one_manager_polls),	    cmocka_unit_test(test_node_change_is_published_once),
		cmocka_unit_test(test_node_change_is_published_late),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
