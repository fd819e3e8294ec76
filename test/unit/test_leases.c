/* leases: of several processes on one store, at most one holds each lease. */
#include "cluster_rig.h"

#include "lease/leases.h"

#define MANY 6
#define LONG_BEAT_MS 400 /* longer than a pause of a busy machine, which must not look like silence */

struct one {
	struct leases *l;
	struct lease *s;
	unsigned won, lost;
	bool drop_when_won;
};

static struct cluster_rig t;
static struct one all[MANY];
static size_t nall;
static unsigned beat_ms;

static void on_change(bool held, void *arg)
{
	struct one *o = arg;
	o->won += held;
	o->lost += !held;
	if (held && o->drop_when_won)
		lease_drop(TAKE_PTR(o->s));
}

static struct one *make(bool shared)
{
	struct one *o = &all[nall++];
	char holder[32];
	snprintf(holder, sizeof holder, "host-%zu/1", nall);
	o->l = leases_new(&(struct leases_env){ .loop = t.loop, .store = t.store, .shared = shared, .holder = holder,
						.beat_ms = beat_ms });
	o->s = lease_want(o->l, "node:a", on_change, o);
	leases_begin(o->l);
	return o;
}

static int up(UNUSED void **state)
{
	memset(all, 0, sizeof all);
	nall = 0;
	beat_ms = BEAT_MS;
	rig_up(&t);
	return 0;
}

static int down(UNUSED void **state)
{
	for (size_t i = 0; i < nall; i++)
		lease_drop(all[i].s);
	rig_close_store(&t);
	for (size_t i = 0; i < nall; i++)
		leases_free(all[i].l);
	rig_down(&t);
	return 0;
}

static bool held(const struct one *o)
{
	return o->s && lease_held(o->s);
}

static size_t holders(void)
{
	size_t n = 0;
	for (size_t i = 0; i < nall; i++)
		n += held(&all[i]);
	return n;
}

/* For this long, never more than one holds it. */
static void watch(int ms)
{
	for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;) {
		rig_run_ms(&t, 2);
		assert_true(holders() <= 1);
	}
}

static json_t *doc_of(const char *holder, int64_t version)
{
	return json_pack("{s:s, s:I, s:I}", "holder", holder, "beat", (json_int_t)version, "version", (json_int_t)version);
}

static void test_one_of_two(UNUSED void **state)
{
	beat_ms = LONG_BEAT_MS;
	struct one *a = make(true);
	assert_false(held(a)); /* never within the call */
	RIG_UNTIL(&t, held(a));
	struct one *b = make(true);
	watch(LONG_BEAT_MS * 6);
	assert_true(held(a));
	assert_int_equal(a->won, 1);
	assert_int_equal(a->lost, 0);
	assert_int_equal(b->won, 0);
	/* released, the other one gets it, and continues the numbers */
	lease_drop(TAKE_PTR(a->s));
	RIG_UNTIL(&t, held(b));
	assert_int_equal(a->lost, 0); /* on a release it is not told of a loss */
	_cleanup_(doc_unrefp) json_t *doc = rig_get(&t, COL_LEASES, "node:a");
	assert_string_equal(doc_str(doc, "holder", ""), "host-2/1");
	assert_true(doc_int(doc, "version", 0) > 3);
}

static void test_silence(UNUSED void **state)
{
	rig_write(&t, STORE_INSERT, COL_LEASES, "node:a", doc_of("dead/1", 7));
	int64_t from = clock_mono_ms();
	struct one *a = make(true);
	RIG_UNTIL(&t, held(a));
	assert_true(clock_mono_ms() - from >= BEAT_MS * LEASE_LOST_MS / LEASE_BEAT_MS);
}

static void test_no_silence(UNUSED void **state)
{
	rig_write(&t, STORE_INSERT, COL_LEASES, "node:a", doc_of("other/1", 1));
	beat_ms = LONG_BEAT_MS;
	struct one *a = make(true);
	for (int64_t i = 2; i < 30; i++) {
		rig_run_ms(&t, LONG_BEAT_MS / 4);
		rig_write(&t, STORE_PUT, COL_LEASES, "node:a", doc_of("other/1", i));
		assert_false(held(a));
	}
	RIG_UNTIL(&t, held(a));
}

static void test_taken_away(UNUSED void **state)
{
	beat_ms = LONG_BEAT_MS;
	struct one *a = make(true);
	RIG_UNTIL(&t, held(a));
	rig_write(&t, STORE_PUT, COL_LEASES, "node:a", doc_of("other/1", 1000));
	RIG_UNTIL(&t, a->lost == 1);
	assert_false(held(a));
	_cleanup_(doc_unrefp) json_t *doc = rig_get(&t, COL_LEASES, "node:a");
	assert_string_equal(doc_str(doc, "holder", ""), "other/1");
	assert_int_equal(doc_int(doc, "version", 0), 1000);
	RIG_UNTIL(&t, held(a)); /* and gets it again when the other one is silent */
}

/* A process that was stopped for long notices that it holds nothing, before any of its timers runs. */
static void test_stopped(UNUSED void **state)
{
	struct one *a = make(true);
	RIG_UNTIL(&t, held(a));
	clock_shift_ms(BEAT_MS * LEASE_SAFE_MS / LEASE_BEAT_MS);
	assert_false(held(a));
	RIG_UNTIL(&t, held(a));
}

#ifdef LUCID_TEST
static void test_store_away(UNUSED void **state)
{
	struct one *a = make(true);
	RIG_UNTIL(&t, held(a));
	struct one *b = make(true);
	rig_fault(&t, "store.begin always");
	RIG_UNTIL(&t, a->lost >= 1);
	watch(BEAT_MS * 8);
	assert_int_equal(holders(), 0);
	rig_fault(&t, NULL);
	RIG_UNTIL(&t, holders() == 1);
	watch(BEAT_MS * 8);
	/* on a busy machine a renewal may be late, and the lease lost once more */
	RIG_UNTIL(&t, holders() == 1 && a->won + b->won - a->lost - b->lost == 1);
}

/* The store is slower than a holder's deadline: a late answer gives nobody the lease, and it recovers without help. */
static void test_slow(UNUSED void **state)
{
	struct one *a = make(true);
	make(true);
	RIG_UNTIL(&t, held(a) || held(&all[1]));
	rig_fault(&t, "store.commit delay 150");
	watch(1500);
	rig_fault(&t, NULL);
	RIG_UNTIL(&t, holders() == 1);
	watch(BEAT_MS * 8);
}
#endif

static void test_race(UNUSED void **state)
{
	for (size_t i = 0; i < MANY; i++)
		make(true);
	for (int round = 0; round < 12; round++) {
		RIG_UNTIL(&t, holders() == 1);
		watch(BEAT_MS * (round % 3));
		for (size_t i = 0; i < nall; i++) {
			struct one *o = &all[i];
			if (!held(o))
				continue;
			lease_drop(TAKE_PTR(o->s));
			o->s = lease_want(o->l, "node:a", on_change, o);
		}
		assert_int_equal(holders(), 0);
	}
	_cleanup_(doc_unrefp) json_t *doc = rig_get(&t, COL_LEASES, "node:a");
	assert_true(doc_int(doc, "version", 0) >= 12);
}

static void test_dropped_when_won(UNUSED void **state)
{
	struct one *a = make(true);
	a->drop_when_won = true;
	RIG_UNTIL(&t, a->won == 1);
	assert_null(a->s);
	struct one *b = make(true);
	RIG_UNTIL(&t, held(b));
	/* dropped while it is being written, and before its write has begun */
	for (int i = 0; i < 30; i++) {
		lease_drop(TAKE_PTR(b->s));
		b->s = lease_want(b->l, "node:a", on_change, b);
		rig_run_ms(&t, i % 4);
	}
	RIG_UNTIL(&t, held(b));
}

/* On a store of a single process every lease is held, and nothing is written. */
static void test_alone(UNUSED void **state)
{
	struct one *a = make(false), *b = make(false);
	RIG_UNTIL(&t, held(a) && held(b));
	clock_shift_ms(3600000);
	rig_run_ms(&t, BEAT_MS * 3);
	assert_true(held(a));
	assert_int_equal(a->won, 1);
	assert_null(rig_get(&t, COL_LEASES, "node:a"));
}

int main(UNUSED int argc, char **argv)
{
	rig_faults_begin(argv);
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_of_two), TEST(test_silence), TEST(test_no_silence), TEST(test_taken_away), TEST(test_stopped),
#ifdef LUCID_TEST
		TEST(test_store_away), TEST(test_slow),
#endif
		TEST(test_race), TEST(test_dropped_when_won), TEST(test_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
