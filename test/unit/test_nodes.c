/* nodes and presence: hosts that register in one store, and the view of each process. */
#include "cluster_rig.h"

#include "cluster/presence.h"
#include "app/settings/options.h"

#define MANY 3
#define LOST_MS 400
#define LONG_MS 2500 /* longer than a pause of a busy machine, which must not look like silence */

/* A process: its own bus, its own copy of the nodes, and an agent that beats or does not. */
struct one {
	char node[16], id_path[112], routes[256], told[512];
	struct bus *bus;
	struct nodes *nodes;
	struct presence *presence;
	struct transport way;
};

static struct cluster_rig t;
static struct one all[MANY];
static size_t nall;
static unsigned lost_ms;
static struct config *config;

static struct transport *route(void *arg, const char *node, const char *url)
{
	struct one *o = arg;
	size_t n = strlen(o->routes);
	snprintf(o->routes + n, sizeof o->routes - n, "+%s=%s ", node, url);
	return &o->way;
}

static void forget(void *arg, const char *node)
{
	struct one *o = arg;
	size_t n = strlen(o->routes);
	snprintf(o->routes + n, sizeof o->routes - n, "-%s ", node);
}

static void changed(const char *node, enum node_status now, void *arg)
{
	struct one *o = arg;
	size_t n = strlen(o->told);
	snprintf(o->told + n, sizeof o->told - n, "%s=%s ", node, node_status_to_string(now));
	/* everything has been read */
	const struct node_info *info = nodes_find(o->nodes, node);
	assert_true(info ? info->status == now : now == NODE_UNREACHABLE);
}

static struct one *follow(const char *node, bool shared, bool agent)
{
	struct one *o = &all[nall++];
	snprintf(o->node, sizeof o->node, "%s", node);
	o->way.name = "rest";
	o->bus = bus_new(t.loop);
	bus_set_node(o->bus, node);
	o->nodes = nodes_new(&(struct nodes_env){ .loop = t.loop, .bus = o->bus, .store = t.store, .node = o->node,
						  .shared = shared, .agent_here = agent, .list_ms = BEAT_MS,
						  .lost_ms = lost_ms, .ways = { route, forget, o } });
	nodes_on_change(o->nodes, changed, o);
	nodes_begin(o->nodes);
	return o;
}

/* With an agent, whose identity is stored under that name. */
static struct one *host(const char *node, bool shared, const char *id)
{
	struct one *o = follow(node, shared, true);
	char url[64];
	snprintf(o->id_path, sizeof o->id_path, "%s/%s", t.dir, id);
	snprintf(url, sizeof url, "http://%s:1", id);
	o->presence = presence_new(&(struct presence_env){ .loop = t.loop, .bus = o->bus, .store = t.store, .nodes = o->nodes,
							   .config = config, .node = node, .host = id, .url = url,
							   .id_path = o->id_path, .shared = shared, .beat_ms = BEAT_MS,
							   .lost_ms = lost_ms });
	presence_begin(o->presence);
	return o;
}

/* As a process that dies; its requests are answered first. */
static void die(struct one *o)
{
	presence_stop(o->presence);
	rig_run_ms(&t, 20);
}

static enum node_status status(struct one *o, const char *node)
{
	const struct node_info *info = nodes_find(o->nodes, node);
	return info ? info->status : (enum node_status)-1;
}

static bool healthy(const struct one *o)
{
	const char *why;
	return presence_healthy(o->presence, &why);
}

static int up(UNUSED void **state)
{
	static char *no_env[] = { NULL };
	const char *set[] = { "NODE_LABELS=gpu=yes,site=b", NULL }, *none[] = { NULL };
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	config = config_load(options(), options_n(), &in, &faults, &warnings);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	assert_non_null(config);
	memset(all, 0, sizeof all);
	nall = 0;
	lost_ms = LOST_MS;
	rig_up(&t);
	return 0;
}

static int down(UNUSED void **state)
{
	rig_close_store(&t);
	for (size_t i = 0; i < nall; i++) {
		presence_free(all[i].presence);
		nodes_free(all[i].nodes);
	}
	rig_run_ms(&t, 2);
	for (size_t i = 0; i < nall; i++) {
		bus_free(all[i].bus);
		unlink(all[i].id_path);
	}
	config_free(config);
	rig_down(&t);
	return 0;
}

static void test_two_hosts(UNUSED void **state)
{
	struct one *a = host("a", true, "one"), *b = host("b", true, "two");
	RIG_UNTIL(&t, status(a, "a") == NODE_READY && status(a, "b") == NODE_READY && status(b, "a") == NODE_READY);
	RIG_UNTIL(&t, healthy(a) && healthy(b));
	const struct node_info *info = nodes_find(a->nodes, "b");
	assert_string_equal(info->url, "http://two:1");
	assert_string_equal(info->host, "two");
	assert_string_equal(info->labels[0], "gpu=yes");
	assert_string_equal(info->labels[1], "site=b");
	assert_null(info->labels[2]);
	assert_false(info->here);
	assert_true(info->cores > 0 && info->memory_mb > 0);
	assert_true(nodes_find(a->nodes, "a")->here);
	assert_string_equal(a->routes, "+b=http://two:1 "); /* its own agent needs no route */
	assert_null(nodes_refused(a->nodes));
	/* one becomes silent, and returns */
	die(b);
	RIG_UNTIL(&t, status(a, "b") == NODE_UNREACHABLE);
	assert_int_equal(status(a, "a"), NODE_READY);
	struct one *again = host("b", true, "two");
	RIG_UNTIL(&t, status(a, "b") == NODE_READY && healthy(again));
	assert_non_null(strstr(a->told, "b=unreachable b=ready "));
	assert_null(nodes_refused(again->nodes));
}

static void test_draining_and_gone(UNUSED void **state)
{
	struct one *a = host("a", true, "one");
	struct one *m = follow("m", true, false);
	RIG_UNTIL(&t, status(m, "a") == NODE_READY);
	for (int tries = 0; status(m, "a") != NODE_DRAINING && tries < 200; tries++) { /* the agent writes the document as well */
		json_t *doc = rig_get(&t, COL_NODES, "a");
		doc_set_bool(doc, "draining", true);
		doc_set_int(doc, "version", doc_int(doc, "version", 0) + 1);
		rig_write(&t, STORE_PUT, COL_NODES, "a", doc);
		rig_run_ms(&t, BEAT_MS * 2);
	}
	RIG_UNTIL(&t, status(m, "a") == NODE_DRAINING);
	rig_run_ms(&t, BEAT_MS * 4);
	assert_int_equal(status(m, "a"), NODE_DRAINING); /* beats do not change it */
	die(a);
	rig_write(&t, STORE_DELETE, COL_NODES, "a", NULL);
	RIG_UNTIL(&t, !nodes_find(m->nodes, "a"));
	assert_string_equal(m->told + strlen(m->told) - strlen("a=unreachable "), "a=unreachable ");
	assert_string_equal(m->routes, "+a=http://one:1 -a ");
}

static json_t *foreign(const char *node, int64_t beat, int64_t at_ms)
{
	json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}, s:I, s:I}", "node", node, "url", "http://else:1", "agent", "id", "other",
				"start", "1", "beat", (json_int_t)beat, "version", (json_int_t)beat);
	doc_set_time(doc, "heartbeat_at", at_ms);
	return doc;
}

/* A host's clock does not matter, only that its beats continue; a node whose beat is old when it is first seen is unreachable. */
static void test_clocks(UNUSED void **state)
{
	int64_t now = clock_wall_ms();
	lost_ms = LONG_MS;
	struct one *m = follow("m", true, false);
	rig_write(&t, STORE_INSERT, COL_NODES, "early", foreign("early", 1, now - 300000));
	rig_write(&t, STORE_INSERT, COL_NODES, "late", foreign("late", 1, now + 300000));
	rig_write(&t, STORE_INSERT, COL_NODES, "old", foreign("old", 1, now - 3600000));
	RIG_UNTIL(&t, nodes_find(m->nodes, "late") && nodes_find(m->nodes, "old"));
	assert_int_equal(status(m, "old"), NODE_UNREACHABLE);
	RIG_UNTIL(&t, status(m, "early") == NODE_UNREACHABLE && status(m, "late") == NODE_UNREACHABLE);
	rig_write(&t, STORE_PUT, COL_NODES, "early", foreign("early", 2, now - 299000));
	rig_write(&t, STORE_PUT, COL_NODES, "old", foreign("old", 2, now - 3599000));
	RIG_UNTIL(&t, status(m, "early") == NODE_READY && status(m, "old") == NODE_READY);
	/* a jump of this process's own clock, as after a long stop, makes no node unreachable */
	clock_shift_ms(LONG_MS * 100);
	rig_run_ms(&t, BEAT_MS * 5);
	assert_true(status(m, "early") == NODE_READY && status(m, "old") == NODE_READY);
	RIG_UNTIL(&t, status(m, "early") == NODE_UNREACHABLE);
}

static void test_name_taken(UNUSED void **state)
{
	lost_ms = LONG_MS;
	struct one *a = host("a", true, "one");
	RIG_UNTIL(&t, healthy(a));
	struct one *b = host("a", true, "two");
	RIG_UNTIL(&t, nodes_refused(b->nodes));
	assert_non_null(strstr(nodes_refused(b->nodes), "host one, URL http://one:1"));
	assert_false(healthy(b));
	rig_run_ms(&t, LONG_MS * 5 / 4);
	assert_non_null(nodes_refused(b->nodes)); /* for as long as the first one beats */
	assert_true(healthy(a));
	assert_null(nodes_refused(a->nodes));
	die(a);
	RIG_UNTIL(&t, healthy(b));
	assert_null(nodes_refused(b->nodes));
	_cleanup_(doc_unrefp) json_t *doc = rig_get(&t, COL_NODES, "a");
	assert_string_equal(doc_str(doc, "host", ""), "two");
}

/* The same data, restarted: it registers at once. While the first one still runs, as with a copied disk, the first one gives way. */
static void test_same_identity(UNUSED void **state)
{
	lost_ms = LONG_MS;
	struct one *a = host("a", true, "one");
	RIG_UNTIL(&t, healthy(a));
	struct one *b = host("a", true, "one");
	RIG_UNTIL(&t, healthy(b));
	assert_null(nodes_refused(b->nodes));
	RIG_UNTIL(&t, nodes_refused(a->nodes));
	rig_run_ms(&t, LONG_MS * 5 / 4);
	assert_true(healthy(b));
	assert_non_null(nodes_refused(a->nodes));
}

/* In a store of a single host, any registered node is this host. */
static void test_alone(UNUSED void **state)
{
	rig_write(&t, STORE_INSERT, COL_NODES, "a", foreign("a", 1, clock_wall_ms()));
	rig_write(&t, STORE_INSERT, COL_NODES, "before", foreign("before", 1, clock_wall_ms()));
	struct one *a = host("a", false, "one");
	RIG_UNTIL(&t, healthy(a));
	RIG_UNTIL(&t, nodes_find(a->nodes, "a") && str_eq(nodes_find(a->nodes, "a")->host, "one")); /* its list is read after its registration */
	assert_int_equal(status(a, "a"), NODE_READY);
	assert_int_equal(status(a, "before"), NODE_UNREACHABLE);
	assert_false(nodes_shared(a->nodes));
}

static void test_labels(UNUSED void **state)
{
	struct one *a = host("a", true, "one");
	RIG_UNTIL(&t, healthy(a));
	die(a);
	json_t *doc = rig_get(&t, COL_NODES, "a");
	doc_set(doc, "labels", json_pack("[s]", "mine"));
	doc_set_int(doc, "version", doc_int(doc, "version", 0) + 1);
	rig_write(&t, STORE_PUT, COL_NODES, "a", doc);
	struct one *b = host("a", true, "one");
	RIG_UNTIL(&t, healthy(b));
	RIG_UNTIL(&t, nodes_find(b->nodes, "a"));
	assert_string_equal(nodes_find(b->nodes, "a")->labels[0], "mine"); /* the settings are the same as before */
}

#ifdef LUCID_TEST
/* While the store cannot be written, no beat is stored, and no node is blamed; afterwards all are as before. */
static void test_store_away(UNUSED void **state)
{
	struct one *a = host("a", true, "one"), *b = host("b", true, "two");
	RIG_UNTIL(&t, status(a, "b") == NODE_READY && healthy(a) && healthy(b));
	rig_fault(&t, "store.begin always");
	RIG_UNTIL(&t, !healthy(a) && !healthy(b));
	rig_fault(&t, NULL);
	RIG_UNTIL(&t, healthy(a) && healthy(b));
	RIG_UNTIL(&t, status(a, "b") == NODE_READY && status(b, "a") == NODE_READY);
	assert_null(nodes_refused(a->nodes));
}
#endif

int main(UNUSED int argc, char **argv)
{
	rig_faults_begin(argv);
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_two_hosts), TEST(test_draining_and_gone), TEST(test_clocks), TEST(test_name_taken),
		TEST(test_same_identity), TEST(test_alone), TEST(test_labels),
#ifdef LUCID_TEST
		TEST(test_store_away),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
