/* History in a real store: slots, restarts, two monitors at once, and the end of objects and of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/history/keeper.h"
#include "roles/rdp-resource-monitor/history/level.h"
#include "roles/rdp-resource-monitor/history/pack.h"
#include "store/open.h"
#include "test/lib/loop_rig.h"

#define ID "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e11"
#define MINUTE ((int64_t)60000)
#define HOUR (60 * MINUTE)
#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-3)

struct bed {
	char dir[40], path[64];
	struct loop *loop;
	struct store *store;
	struct under_way under_way;
	struct keeper *keeper;
	int64_t start_ms; /* the beginning of an hour, some hours ago */
};
static struct bed bed;

static struct keeper *keeper_of_bed(void)
{
	const struct role_env env = { .loop = bed.loop, .store = bed.store };
	return keeper_new(&env, NULL, &bed.under_way);
}

static int bed_open(UNUSED void **state)
{
	bed = (struct bed){ .dir = "/tmp/lrdp-keeper-XXXXXX", .loop = loop_new() };
	if (!mkdtemp(bed.dir))
		return -1;
	snprintf(bed.path, sizeof bed.path, "%s/store.db", bed.dir);
	const struct store_options o = { .path = bed.path, .queue_limit = 4096, .timeout_ms = 60000, .cache_bytes = 1 << 20 };
	bed.store = store_open_embedded(bed.loop, &o, NULL, NULL);
	bed.keeper = keeper_of_bed();
	bed.start_ms = clock_wall_ms() - clock_wall_ms() % HOUR - 4 * HOUR;
	return 0;
}

static void settle(void)
{
	LOOP_RIG_UNTIL(bed.loop, bed.under_way.n == 0, 60000, 2);
}

static int bed_close(UNUSED void **state)
{
	char cmd[80];
	keeper_stop(bed.keeper);
	settle();
	keeper_free(bed.keeper);
	store_close(bed.store);
	loop_free(bed.loop);
	snprintf(cmd, sizeof cmd, "rm -rf %s", bed.dir);
	return system(cmd);
}

static struct sample sample_at(int64_t time_ms, double cpu)
{
	struct sample s = { .kind = SAMPLE_SERVER, .id = ID, .node = "node-1", .time_ms = time_ms };
	for (int r = 0; r < RES_COUNT; r++)
		s.value[r] = NAN;
	s.value[RES_CPU] = cpu;
	return s;
}

static void take(struct keeper *k, int64_t after_ms, double cpu)
{
	const struct sample s = sample_at(bed.start_ms + after_ms, cpu);
	keeper_take(k, &s);
	keeper_flush(k);
	settle();
}

/* Everything of a level, in order. */
struct stored {
	bool done;
	size_t docs, n;
	struct point at[2000];
};
static struct stored got;

static void stored_point(const struct point *p, UNUSED void *arg)
{
	got.at[got.n++] = *p;
}

static void on_stored(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, UNUSED void *arg)
{
	assert_int_equal(result, STORE_OK);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		assert_true(pack_each(doc, PACK_ALL, stored_point, NULL));
	}
	got.docs = n;
	got.done = true;
}

static size_t stored(enum level l)
{
	char series[SERIES_MAX];
	level_series(l, SAMPLE_SERVER, ID, series);
	struct store_query q = level_query(l, series, 0, INT64_MAX);
	memset(&got, 0, sizeof got);
	store_list(bed.store, COL_RESOURCES, &q, on_stored, NULL);
	LOOP_RIG_UNTIL(bed.loop, got.done, 60000, 2);
	return got.n;
}

static void test_samples_become_slots_of_minutes_and_hours(UNUSED void **state)
{
	/* two hours and the first slot of the third; cpu is the number of the minute */
	for (int i = 0; i <= 125; i++)
		take(bed.keeper, i * MINUTE, i);
	assert_int_equal(stored(LEVEL_RAW), 126);
	assert_int_equal(got.docs, 9); /* of 15 minutes */
	assert_int_equal(stored(LEVEL_MINUTES), 25);
	assert_int_equal(got.at[0].time_ms, bed.start_ms);
	NEAR(got.at[0].of[RES_CPU].mean, 2);
	NEAR(got.at[24].of[RES_CPU].lo, 120);
	NEAR(got.at[24].of[RES_CPU].hi, 124);
	assert_int_equal(got.at[24].n, 5);
	assert_int_equal(stored(LEVEL_HOURS), 2);
	NEAR(got.at[1].of[RES_CPU].mean, 89.5);
	NEAR(got.at[1].of[RES_CPU].lo, 60);
	NEAR(got.at[1].of[RES_CPU].hi, 119);
	assert_int_equal(got.at[1].n, 60);
}

static void restart(void)
{
	keeper_stop(bed.keeper); /* what it holds in memory is lost, as if it were killed */
	keeper_free(bed.keeper);
	bed.keeper = keeper_of_bed();
}

static void test_slots_survive_a_crash_in_their_middle(UNUSED void **state)
{
	for (int i = 0; i <= 66; i++) {
		if (i % 7 == 3)
			restart();
		take(bed.keeper, i * MINUTE, i);
	}
	assert_int_equal(stored(LEVEL_RAW), 67);
	assert_int_equal(stored(LEVEL_MINUTES), 13);
	for (size_t i = 0; i < got.n; i++) {
		assert_int_equal(got.at[i].n, 5);
		NEAR(got.at[i].of[RES_CPU].mean, (double)i * 5 + 2);
	}
	assert_int_equal(stored(LEVEL_HOURS), 1);
	NEAR(got.at[0].of[RES_CPU].mean, 29.5);
	assert_int_equal(got.at[0].n, 60);
}

static void test_slots_that_ended_while_no_monitor_ran_are_made_later(UNUSED void **state)
{
	for (int i = 0; i < 8; i++)
		take(bed.keeper, i * MINUTE, i);
	restart();
	take(bed.keeper, 100 * MINUTE, 7);
	assert_int_equal(stored(LEVEL_MINUTES), 2);
	NEAR(got.at[1].of[RES_CPU].mean, 6);
	assert_int_equal(got.at[1].n, 3);
	take(bed.keeper, 106 * MINUTE, 7);
	assert_int_equal(stored(LEVEL_HOURS), 1);
	assert_int_equal(got.at[0].n, 8);
}

static void test_two_monitors_lose_no_sample_of_each_other(UNUSED void **state)
{
	struct keeper *other = keeper_of_bed();
	take(bed.keeper, 0, 1);
	take(other, 1 * MINUTE, 2);
	take(bed.keeper, 2 * MINUTE, 3); /* its version is stale: it reads again */
	settle();
	keeper_flush(bed.keeper);
	settle();
	keeper_leave(bed.keeper, SAMPLE_SERVER, ID, true);
	take(other, 3 * MINUTE, 4);
	keeper_flush(other);
	settle();
	assert_int_equal(stored(LEVEL_RAW), 4);
	for (size_t i = 0; i < got.n; i++)
		NEAR(got.at[i].of[RES_CPU].mean, (double)i + 1);
	keeper_stop(other);
	keeper_free(other);
}

static void test_slots_of_a_stopped_server_are_written_when_their_time_is_over(UNUSED void **state)
{
	for (int i = 0; i < 7; i++)
		take(bed.keeper, i * MINUTE, i);
	assert_int_equal(stored(LEVEL_MINUTES), 1);
	keeper_leave(bed.keeper, SAMPLE_SERVER, ID, false);
	for (int i = 0; i < 3; i++) {
		keeper_tick(bed.keeper);
		settle();
	}
	assert_int_equal(stored(LEVEL_MINUTES), 2);
	assert_int_equal(got.at[1].n, 2);
	assert_int_equal(stored(LEVEL_HOURS), 1);
	assert_int_equal(got.at[0].n, 7);
}

static void test_expired_documents_are_removed(UNUSED void **state)
{
	take(bed.keeper, 0, 1);
	assert_int_equal(stored(LEVEL_RAW), 1);
	clock_shift_ms(levels[LEVEL_RAW].keep_ms);
	keeper_tick(bed.keeper);
	settle();
	clock_shift_ms(-levels[LEVEL_RAW].keep_ms);
	assert_int_equal(stored(LEVEL_RAW), 0);
}

static void test_samples_with_the_clock_set_back_are_not_stored_twice(UNUSED void **state)
{
	take(bed.keeper, 20 * MINUTE, 1);
	take(bed.keeper, 21 * MINUTE, 2);
	take(bed.keeper, 20 * MINUTE, 3);
	take(bed.keeper, 22 * MINUTE, 4);
	assert_int_equal(stored(LEVEL_RAW), 3);
	NEAR(got.at[2].of[RES_CPU].mean, 4);
}

#define ON_STORE(fn) cmocka_unit_test_setup_teardown(fn, bed_open, bed_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STORE(test_samples_become_slots_of_minutes_and_hours),
		ON_STORE(test_slots_survive_a_crash_in_their_middle),
		ON_STORE(test_slots_that_ended_while_no_monitor_ran_are_made_later),
		ON_STORE(test_two_monitors_lose_no_sample_of_each_other),
		ON_STORE(test_slots_of_a_stopped_server_are_written_when_their_time_is_over),
		ON_STORE(test_expired_documents_are_removed),
		ON_STORE(test_samples_with_the_clock_set_back_are_not_stored_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
