/* alert: two monitors on one store. However many of them judge the same values, there is one open alert for a subject and metric, and each of its
 * events is delivered once; alone, an alert survives a restart. The receiver of the webhook runs on the same loop. */
#include "cluster_rig.h"

#include <arpa/inet.h>
#include <math.h>

#include "app/settings/options.h"
#include "cluster/nodes.h"
#include "lease/leases.h"
#include "lucid/role.h"
#include "net/http.h"
#include "object/set.h"
#include "roles/contract/contract.h"
#include "roles/rdp-resource-monitor/alert/alerts.h"
#include "roles/rdp-resource-monitor/alert/signature.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define SERVER "0b2c5c0e-6d2b-4c8e-9a57-2f3a1d4e5f60"
#define PATIENCE_MS 60000
#define SEEN_MAX 64

static const struct caller admin = { .sub = "root", .roles = CALLER_ADMIN };
static const struct caller alice = { .sub = "alice", .roles = CALLER_USER };
static const struct caller bob = { .sub = "bob", .roles = CALLER_USER };
static const struct alert_subject node = { ALERT_NODE, "n1", NULL };
static const struct alert_subject server = { ALERT_SERVER, "n1", SERVER };

struct monitor_rig {
	struct bus *bus;
	struct leases *leases;
	struct nodes *nodes;
	struct alerts *alerts;
	struct transport way; /* of its events to the other one */
	struct monitor_rig *other;
};

static struct {
	struct cluster_rig c;
	struct config *config;
	struct monitor_rig m[2];
	size_t n;
	bool no_server; /* rdp.servers.get does not know it */
	/* the receiver */
	struct http_server *http;
	int fd, status;
	uint16_t port;
	size_t posts;
	char bodies[SEEN_MAX][2048], signatures[SEEN_MAX][SIGNATURE_SIZE];
	int64_t shifted_ms;
	char events[1024]; /* published by the first monitor */
	struct subscription *sub;
} t;

#define UNTIL(what) LOOP_RIG_UNTIL(t.c.loop, what, PATIENCE_MS, 3)

/* --- the receiver */

static void receive(struct http_req *r, UNUSED void *arg)
{
	size_t len;
	const char *body = http_req_body(r, &len), *signature = http_req_header(r, "x-lucid-signature", NULL);
	assert_true(t.posts < SEEN_MAX && len < sizeof t.bodies[0]);
	memcpy(t.bodies[t.posts], body, len);
	t.bodies[t.posts][len] = 0;
	str_copy(t.signatures[t.posts++], SIGNATURE_SIZE, signature ? signature : "");
	http_reply(r, t.status, NULL, 0, "", 0);
}

static void receiver_up(void)
{
	static const struct http_limits limits = { 1 << 20, 16384, 64, 60, 60, 60, 60 };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	t.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t.fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(getsockname(t.fd, (struct sockaddr *)&sa, &len), 0);
	t.port = ntohs(sa.sin_port);
	t.status = 200;
	t.http = http_server_new(t.c.loop, &limits, receive, NULL, NULL);
	assert_int_equal(http_server_listen(t.http, t.fd, 0, false), 0);
}

/* --- monitors */

static void servers_get(struct call *c, UNUSED void *arg)
{
	if (t.no_server) {
		call_fail(c, ERR_SERVER_NOT_FOUND, NULL);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:s, s:s, s:s}", "server_id", call_param(c, "server_id"), "name", "box", "user_id", "alice");
	call_ok_blob(c, doc_blob(doc), NULL); /* as the manager answers if the server is in the store's cache */
}

static void carry(struct transport *way, const struct event *e)
{
	struct monitor_rig *from = CONTAINER_OF(way, struct monitor_rig, way);
	struct event copy = *e;
	copy.origin = bus_origin(from->bus);
	if (from->other && from->other->bus)
		bus_deliver_foreign(from->other->bus, &copy, json_incref(e->data));
}

static struct transport *no_way(UNUSED void *arg, UNUSED const char *name, UNUSED const char *url)
{
	return NULL;
}

static void no_end(UNUSED void *arg, UNUSED const char *name)
{
}

static void heard(const struct event *e, UNUSED void *arg)
{
	size_t n = strlen(t.events);
	snprintf(t.events + n, sizeof t.events - n, "%s ", e->topic);
}

static void monitor_up(size_t i, bool shared)
{
	struct monitor_rig *m = &t.m[i];
	m->bus = bus_new(t.c.loop);
	m->leases = leases_new(&(struct leases_env){ .loop = t.c.loop, .store = t.c.store, .holder = i ? "b/1" : "a/1", .shared = shared,
						     .beat_ms = shared ? BEAT_MS : 0 });
	m->nodes = nodes_new(&(struct nodes_env){ .loop = t.c.loop, .bus = m->bus, .store = t.c.store, .node = "n1", .shared = shared,
						  .ways = { no_way, no_end, NULL } });
	bus_serve(m->bus, op_find("rdp.servers.get"), servers_get, NULL);
	struct role_env env = { .loop = t.c.loop, .bus = m->bus, .store = t.c.store, .config = t.config, .node = "n1", .nodes = m->nodes,
				.leases = m->leases };
	m->way = (struct transport){ .name = "way", .publish = carry };
	bus_carry_events(m->bus, &m->way);
	if (!i)
		t.sub = bus_subscribe(m->bus, "resource.alert.*", heard, NULL);
	leases_begin(m->leases);
	m->alerts = alerts_new(&env);
	m->alerts->objects->scan_ms = 50;
	alerts_start(m->alerts);
}

static bool monitor_loaded(struct monitor_rig *m)
{
	return objects_loaded(m->alerts->objects) && threshold_store_loaded(m->alerts->thresholds);
}

static void over(void *arg)
{
	*(bool *)arg = true;
}

static void monitor_drain_rig(struct monitor_rig *m)
{
	bool done = false;
	alerts_drain(m->alerts, over, &done);
	UNTIL(done);
	alerts_free(m->alerts);
	m->alerts = NULL;
}

static void monitor_down(struct monitor_rig *m)
{
	if (m == &t.m[0])
		bus_unsubscribe(TAKE_PTR(t.sub));
	if (m->other)
		m->other->other = NULL;
	bus_carry_events(m->bus, NULL);
	nodes_free(m->nodes);
	leases_free(m->leases);
	rig_run_ms(&t.c, 5);
	bus_free(m->bus);
	*m = (struct monitor_rig){ 0 };
}

static void config_up(void)
{
	static char *no_env[] = { NULL };
	static char url[64];
	const char *none[] = { NULL };
	snprintf(url, sizeof url, "ALERT_WEBHOOK_URL=http://127.0.0.1:%d/hook?key=x", t.port);
	const char *set[] = { url, "ALERT_WEBHOOK_SECRET=" SECRET, "ALERT_RETENTION_DAYS=1", NULL };
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	t.config = config_load(options(), options_n(), &in, &faults, &warnings);
	assert_non_null(t.config);
	strbuf_done(&faults);
	strbuf_done(&warnings);
}

static void up(size_t n)
{
	memset(&t, 0, sizeof t);
	rig_up(&t.c);
	receiver_up();
	config_up();
	t.n = n;
	for (size_t i = 0; i < n; i++)
		monitor_up(i, n > 1);
	if (n > 1) {
		t.m[0].other = &t.m[1];
		t.m[1].other = &t.m[0];
	}
	for (size_t i = 0; i < n; i++)
		UNTIL(monitor_loaded(&t.m[i]));
	if (n > 1)
		UNTIL(alerts_lead(t.m[0].alerts) || alerts_lead(t.m[1].alerts));
}

static int up_one(UNUSED void **state)
{
	up(1);
	return 0;
}

static int up_two(UNUSED void **state)
{
	up(2);
	return 0;
}

static int down(UNUSED void **state)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.m[i].alerts)
			monitor_drain_rig(&t.m[i]);
	http_server_free(t.http);
	close(t.fd);
	rig_close_store(&t.c);
	for (size_t i = 0; i < t.n; i++)
		if (t.m[i].bus)
			monitor_down(&t.m[i]);
	rig_down(&t.c);
	config_free(t.config);
	clock_shift_ms(-t.shifted_ms);
	return 0;
}

/* --- calls */

struct answer {
	bool over;
	enum err err;
	json_t *doc, *details;
	int64_t version;
};

static void answered(const struct reply *r, void *arg)
{
	struct answer *a = arg;
	a->over = true;
	a->err = r->err;
	a->doc = r->doc ? json_incref(r->doc) : r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : NULL;
	a->details = json_incref(r->details);
	a->version = r->version;
}

/* The answer is valid until the next call. Texts are JSON with ' in place of ". */
static struct answer *ask(size_t i, const struct caller *who, const char *op, const char *id, int64_t if_match, const char *query, const char *body)
{
	static struct answer a;
	const char *texts[2] = { query, body };
	json_t *docs[2] = { NULL, NULL };
	json_decref(a.doc);
	json_decref(a.details);
	a = (struct answer){ 0 };
	for (int k = 0; k < 2; k++) {
		_cleanup_(xfreep) char *text = texts[k] ? xstrdup(texts[k]) : NULL;
		for (char *p = text; p && *p; p++)
			*p = *p == '\'' ? '"' : *p;
		docs[k] = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	}
	bus_call(t.m[i].bus, &(struct call_args){ .op = op_find(op), .caller = who, .params = { id }, .query = docs[0], .body = docs[1],
						  .if_match = if_match }, answered, &a);
	UNTIL(a.over);
	json_decref(docs[0]);
	json_decref(docs[1]);
	return &a;
}

static void thresholds(const char *body)
{
	assert_int_equal(ask(0, &admin, "resources.thresholds.put", NULL, 0, NULL, body)->err, ERR_OK);
}

static json_t *alerts_of(size_t i, const struct caller *who, const char *query)
{
	struct answer *a = ask(i, who, "resources.alerts.list", NULL, 0, query, NULL);
	assert_int_equal(a->err, ERR_OK);
	return json_object_get(a->doc, "alerts");
}

static size_t count(size_t i, const struct caller *who, const char *query)
{
	return json_array_size(alerts_of(i, who, query));
}

static const char *first_id(void)
{
	static char id[ID_UUID_SIZE];
	str_copy(id, sizeof id, doc_str(json_array_get(alerts_of(0, &admin, NULL), 0), "alert_id", ""));
	return id;
}

static bool delivered(size_t n)
{
	return t.posts == n && json_array_size(alerts_of(0, &admin, NULL)) &&
	       !str_eq(doc_str(json_object_get(json_array_get(alerts_of(0, &admin, NULL), 0), n > 1 ? "cleared_delivery" : "raised_delivery"), "state", ""),
		       "pending");
}

static void judge(size_t i, const struct alert_subject *s, double value)
{
	alert_judge(t.m[i].alerts, s, ALERT_CPU, value, clock_mono_ms());
}

#define AT_ONCE "{'hold_seconds':0}"

/* --- tests */

static void test_alert_is_raised_delivered_and_cleared(UNUSED void **state)
{
	thresholds(AT_ONCE);
	judge(0, &node, 81);
	UNTIL(count(0, &admin, "{'state':'raised'}") == 1);
	UNTIL(delivered(1));
	judge(0, &node, 90);
	judge(0, &node, 76); /* within the hysteresis */
	rig_run_ms(&t.c, 50);
	assert_int_equal(count(0, &admin, "{'state':'open'}"), 1);
	judge(0, &node, 75);
	UNTIL(count(0, &admin, "{'state':'cleared'}") == 1);
	UNTIL(delivered(2));
	assert_string_equal(t.events, "resource.alert.raised resource.alert.status resource.alert.cleared ");
	assert_non_null(strstr(t.bodies[0], "\"type\":\"resource.alert.raised\""));
	assert_non_null(strstr(t.bodies[1], "\"type\":\"resource.alert.cleared\""));
	char signature[SIGNATURE_SIZE], time[SIGNATURE_TIME_SIZE];
	signature_make(signature, time, SECRET, atoll(t.signatures[0] + 2), t.bodies[0], strlen(t.bodies[0]));
	assert_string_equal(t.signatures[0], signature);
	const json_t *a = json_array_get(alerts_of(0, &admin, NULL), 0);
	assert_string_equal(doc_str(a, "status_reason", ""), "below_threshold");
	assert_true(json_number_value(json_object_get(a, "cleared_value")) == 75);
}

static void test_next_alert_is_another_one(UNUSED void **state)
{
	thresholds(AT_ONCE);
	for (size_t i = 1; i <= 3; i++) {
		judge(0, &node, 99);
		UNTIL(count(0, &admin, "{'state':'open'}") == 1);
		judge(0, &node, 1);
		UNTIL(count(0, &admin, "{'state':'cleared'}") == i);
	}
}

static void test_users_see_alerts_of_their_own_servers(UNUSED void **state)
{
	static const struct caller nobody = { .sub = "", .roles = CALLER_USER };
	thresholds(AT_ONCE);
	judge(0, &server, 99);
	UNTIL(count(0, &admin, NULL) == 1);
	const char *id = first_id();
	judge(0, &node, 99);
	UNTIL(count(0, &admin, NULL) == 2);
	assert_int_equal(count(0, &alice, NULL), 1);
	assert_int_equal(count(0, &bob, NULL), 0);
	assert_int_equal(ask(0, &bob, "resources.alerts.get", id, 0, NULL, NULL)->err, ERR_NOT_FOUND);
	assert_int_equal(ask(0, &bob, "resources.alerts.acknowledge", id, 0, NULL, NULL)->err, ERR_NOT_FOUND);
	assert_int_equal(ask(0, &alice, "resources.alerts.get", id, 0, NULL, NULL)->err, ERR_OK);
	assert_int_equal(ask(0, &nobody, "resources.alerts.list", NULL, 0, NULL, NULL)->err, ERR_FORBIDDEN);
}

static void test_acknowledged_alert_stays_open_until_it_is_cleared(UNUSED void **state)
{
	thresholds(AT_ONCE);
	judge(0, &server, 99);
	UNTIL(count(0, &admin, NULL) == 1);
	const char *id = first_id();
	struct answer *a = ask(0, &alice, "resources.alerts.acknowledge", id, 0, NULL, NULL);
	assert_int_equal(a->err, ERR_OK);
	assert_string_equal(doc_str(a->doc, "status", ""), "acknowledged");
	assert_string_equal(doc_str(a->doc, "acknowledged_by", ""), "alice");
	a = ask(0, &admin, "resources.alerts.acknowledge", id, 0, NULL, NULL); /* twice is no error, and changes nothing */
	assert_int_equal(a->err, ERR_OK);
	assert_string_equal(doc_str(a->doc, "acknowledged_by", ""), "alice");
	judge(0, &server, 99);
	rig_run_ms(&t.c, 50);
	assert_int_equal(count(0, &admin, NULL), 1);
	judge(0, &server, 1);
	UNTIL(count(0, &admin, "{'state':'cleared'}") == 1);
	assert_int_equal(ask(0, &alice, "resources.alerts.acknowledge", id, 0, NULL, NULL)->err, ERR_CONFLICT);
}

static void test_deleted_server_clears_its_alert(UNUSED void **state)
{
	thresholds(AT_ONCE);
	judge(0, &server, 99);
	UNTIL(count(0, &admin, NULL) == 1);
	bus_publish(t.m[0].bus, "server.deleted", SERVER, "alice", json_object());
	UNTIL(count(0, &admin, "{'state':'cleared'}") == 1);
	assert_string_equal(doc_str(json_array_get(alerts_of(0, &admin, NULL), 0), "status_reason", ""), "object_gone");
}

static void add_node(const char *name)
{
	json_t *doc = json_pack("{s:s, s:s, s:i}", "id", name, "node", name, "version", 1);
	assert_int_equal(rig_write(&t.c, STORE_INSERT, COL_NODES, name, doc), STORE_OK);
}

static void purge_all(void)
{
	for (size_t i = 0; i < t.n; i++)
		alerts_purge(t.m[i].alerts);
	rig_run_ms(&t.c, 50);
}

static void test_removed_node_clears_its_alert(UNUSED void **state)
{
	static const struct alert_subject other = { ALERT_NODE, "n2", NULL };
	add_node("n1");
	add_node("n2");
	thresholds(AT_ONCE);
	judge(0, &node, 99);
	judge(0, &other, 99);
	UNTIL(count(0, &admin, "{'state':'open'}") == 2);
	purge_all(); /* the nodes have not been read yet: none counts as removed */
	for (size_t i = 0; i < t.n; i++)
		nodes_begin(t.m[i].nodes);
	UNTIL(nodes_known(t.m[0].nodes) && nodes_known(t.m[1].nodes));
	purge_all();
	assert_int_equal(count(0, &admin, "{'state':'open'}"), 2);
	assert_int_equal(rig_write(&t.c, STORE_DELETE, COL_NODES, "n2", NULL), STORE_OK);
	for (size_t i = 0; i < t.n; i++)
		nodes_look(t.m[i].nodes);
	UNTIL(!nodes_find(t.m[0].nodes, "n2") && !nodes_find(t.m[1].nodes, "n2"));
	purge_all();
	UNTIL(count(0, &admin, "{'state':'cleared'}") == 1);
	const json_t *cleared = json_array_get(alerts_of(0, &admin, "{'state':'cleared'}"), 0);
	assert_string_equal(doc_str(cleared, "node", ""), "n2");
	assert_string_equal(doc_str(cleared, "status_reason", ""), "object_gone");
}

static void test_server_that_does_not_exist_raises_no_alert(UNUSED void **state)
{
	t.no_server = true;
	thresholds(AT_ONCE);
	judge(0, &server, 99);
	rig_run_ms(&t.c, 50);
	assert_int_equal(count(0, &admin, NULL), 0);
}

static void test_removed_threshold_clears_the_alert(UNUSED void **state)
{
	thresholds(AT_ONCE);
	judge(0, &node, 99);
	UNTIL(count(0, &admin, NULL) == 1);
	thresholds("{'global':{'cpu_percent':100}}");
	judge(0, &node, 99);
	UNTIL(count(0, &admin, "{'state':'cleared'}") == 1);
	assert_string_equal(doc_str(json_array_get(alerts_of(0, &admin, NULL), 0), "status_reason", ""), "threshold_removed");
}

static void test_failed_delivery_is_repeated(UNUSED void **state)
{
	thresholds(AT_ONCE);
	t.status = 500;
	judge(0, &node, 99);
	UNTIL(t.posts >= 2); /* after DELIVERY_FIRST_MS */
	t.status = 204;
	UNTIL(str_eq(doc_str(json_object_get(json_array_get(alerts_of(0, &admin, NULL), 0), "raised_delivery"), "state", ""), "delivered"));
	for (size_t i = 1; i < t.posts; i++)
		assert_string_equal(t.bodies[i], t.bodies[0]);
}

static void test_failing_receiver_does_not_block_other_alerts(UNUSED void **state)
{
	thresholds(AT_ONCE);
	t.status = 500;
	judge(0, &node, 99);
	UNTIL(t.posts == 1);
	t.status = 200;
	judge(0, &server, 99);
	UNTIL(t.posts >= 2);
	assert_non_null(strstr(t.bodies[1], SERVER));
}

static void test_restart_keeps_alert_and_pending_delivery(UNUSED void **state)
{
	thresholds(AT_ONCE);
	t.status = 500;
	judge(0, &node, 99);
	UNTIL(t.posts == 1);
	monitor_drain_rig(&t.m[0]);
	monitor_down(&t.m[0]);
	t.status = 200;
	monitor_up(0, false);
	UNTIL(monitor_loaded(&t.m[0]));
	judge(0, &node, 99); /* is not raised again */
	UNTIL(delivered(t.posts) && t.posts >= 2);
	assert_int_equal(count(0, &admin, NULL), 1);
	assert_string_equal(t.bodies[t.posts - 1], t.bodies[0]);
	judge(0, &node, 1);
	UNTIL(count(0, &admin, "{'state':'cleared'}") == 1);
}

static void test_old_alerts_are_purged(UNUSED void **state)
{
	thresholds(AT_ONCE);
	judge(0, &node, 99);
	UNTIL(count(0, &admin, NULL) == 1);
	judge(0, &node, 1);
	UNTIL(delivered(2));
	judge(0, &server, 99); /* open alerts are kept */
	UNTIL(t.posts == 3);
	alerts_purge(t.m[0].alerts);
	rig_run_ms(&t.c, 50);
	assert_int_equal(count(0, &admin, NULL), 2);
	t.shifted_ms = 25 * 3600 * 1000ll; /* ALERT_RETENTION_DAYS is 1 */
	clock_shift_ms(t.shifted_ms);
	UNTIL((alerts_purge(t.m[0].alerts), count(0, &admin, NULL) == 1));
	assert_int_equal(count(0, &admin, "{'state':'open'}"), 1);
}

static void test_thresholds_have_a_version(UNUSED void **state)
{
	struct answer *a = ask(0, &admin, "resources.thresholds.get", NULL, 0, NULL, NULL);
	assert_int_equal(a->err, ERR_OK);
	assert_int_equal(a->version, 0);
	a = ask(0, &admin, "resources.thresholds.put", NULL, 0, NULL, "{'hold_seconds':5}");
	assert_int_equal(a->version, 1);
	assert_int_equal(ask(0, &admin, "resources.thresholds.put", NULL, 7, NULL, "{'hold_seconds':6}")->err, ERR_STALE);
	a = ask(0, &admin, "resources.thresholds.put", NULL, 1, NULL, "{'hysteresis':2}");
	assert_int_equal(a->version, 2);
	assert_int_equal(doc_int(a->doc, "hold_seconds", 0), 5);
	a = ask(0, &admin, "resources.thresholds.put", NULL, 0, NULL, "{'hold_seconds':null}");
	assert_int_equal(doc_int(a->doc, "hold_seconds", 0), 60);
	a = ask(0, &admin, "resources.thresholds.put", NULL, 0, NULL, "{'global':{'cpu_percent':101}}");
	assert_int_equal(a->err, ERR_BAD_RANGE);
	assert_string_equal(doc_str(json_array_get(a->details, 0), "field", ""), "global.cpu_percent");
}

static void test_two_monitors_raise_one_alert_and_deliver_it_once(UNUSED void **state)
{
	thresholds(AT_ONCE);
	UNTIL(doc_int(t.m[1].alerts ? ask(1, &admin, "resources.thresholds.get", NULL, 0, NULL, NULL)->doc : NULL, "hold_seconds", -1) == 0);
	rig_run_ms(&t.c, 50); /* the second one has read them */
	for (int round = 1; round <= 3; round++) {
		judge(0, &node, 99);
		judge(1, &node, 99);
		UNTIL(t.posts == (size_t)(2 * round - 1));
		judge(0, &node, 1);
		judge(1, &node, 1);
		UNTIL(t.posts == (size_t)(2 * round));
		UNTIL(count(1, &admin, "{'state':'cleared'}") == (size_t)round);
	}
	rig_run_ms(&t.c, 200);
	assert_int_equal(t.posts, 6);
	assert_int_equal(count(0, &admin, NULL), 3);
}

static void test_other_monitor_delivers_when_the_leader_ends(UNUSED void **state)
{
	thresholds(AT_ONCE);
	size_t leader = alerts_lead(t.m[0].alerts) ? 0 : 1, heir = !leader;
	t.status = 500;
	judge(0, &node, 99);
	UNTIL(t.posts == 1);
	monitor_drain_rig(&t.m[leader]);
	t.status = 200;
	UNTIL(t.posts >= 2 && alerts_lead(t.m[heir].alerts));
	UNTIL(str_eq(doc_str(json_object_get(json_array_get(alerts_of(heir, &admin, NULL), 0), "raised_delivery"), "state", ""), "delivered"));
	assert_string_equal(t.bodies[1], t.bodies[0]);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, up_one, down)
#define TWO(test) cmocka_unit_test_setup_teardown(test, up_two, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(test_alert_is_raised_delivered_and_cleared),
		ONE(test_next_alert_is_another_one),
		ONE(test_users_see_alerts_of_their_own_servers),
		ONE(test_acknowledged_alert_stays_open_until_it_is_cleared),
		ONE(test_deleted_server_clears_its_alert),
		ONE(test_server_that_does_not_exist_raises_no_alert),
		ONE(test_removed_threshold_clears_the_alert),
		ONE(test_failed_delivery_is_repeated),
		ONE(test_failing_receiver_does_not_block_other_alerts),
		ONE(test_restart_keeps_alert_and_pending_delivery),
		ONE(test_old_alerts_are_purged),
		ONE(test_thresholds_have_a_version),
		TWO(test_two_monitors_raise_one_alert_and_deliver_it_once),
		TWO(test_other_monitor_delivers_when_the_leader_ends),
		TWO(test_removed_node_clears_its_alert),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
