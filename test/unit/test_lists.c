/* Answers to lists that the store keeps until their collection is written to: no list is older than its request. */
#include "played_store.h"

static int setup(UNUSED void **state)
{
	return played_open(true);
}

static void written(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct asker *a = arg;
	a->answers++;
	a->result = result;
}

static void write_to(struct asker *a, enum store_collection col)
{
	json_t *doc = json_pack("{s:i}", "version", 1);
	store_write(store, &(struct store_op){ STORE_PUT, col, "a", 0, doc }, 1, written, a);
	json_decref(doc);
}

/* The total of the answer to the list, which is the version of the read that it comes from. */
static int64_t total_of(const char *status)
{
	struct asker a = { 0 };
	list_of(&a, status, 10);
	land();
	turn(2);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.result, STORE_OK);
	assert_int_equal(a.docs, 2);
	return a.total;
}

static void a_list_is_read_once_until_a_write(UNUSED void **state)
{
	struct asker w = { 0 };
	assert_int_equal(total_of("running"), 1);
	assert_int_equal(total_of("running"), 1);
	assert_int_equal(total_of("stopped"), 2); /* another question */
	assert_int_equal(db.asked, 2);
	write_to(&w, COL_NODES); /* another collection */
	land();
	assert_int_equal(w.answers, 1);
	assert_int_equal(total_of("running"), 1);
	write_to(&w, COL_SERVERS);
	land();
	assert_int_equal(w.answers, 2);
	int64_t after = total_of("running");
	assert_true(after > 2);
	assert_int_equal(total_of("running"), after);
	assert_true(total_of("stopped") > after);
}

static void a_list_beside_a_write_is_not_kept(UNUSED void **state)
{
	struct asker w = { 0 }, during = { 0 }, before = { 0 };
	/* the list begins first, and is answered after the write has begun */
	list_of(&before, "running", 10);
	write_to(&w, COL_SERVERS);
	land();
	assert_int_equal(before.answers + w.answers, 2);
	assert_true(total_of("running") > before.total);
	/* the write begins first: it is answered with the list, which may have been read before it */
	write_to(&w, COL_SERVERS);
	list_of(&during, "running", 10);
	land();
	assert_int_equal(during.answers, 1);
	assert_true(total_of("running") > during.total);
}

static void a_list_that_is_answered_before_the_write_does_not_outlive_it(UNUSED void **state)
{
	struct asker w = { 0 }, during = { 0 };
	write_to(&w, COL_SERVERS);
	struct list *write = list_take_first(&db.held);
	list_of(&during, "running", 10);
	land();
	assert_int_equal(during.answers, 1);
	assert_int_equal(w.answers, 0);
	list_append(&db.held, write);
	land();
	assert_int_equal(w.answers, 1);
	assert_true(total_of("running") > during.total);
}

static void failures_and_late_answers_are_not_kept(UNUSED void **state)
{
	struct asker a = { 0 };
	db.away = true;
	list_of(&a, "running", 10);
	land();
	assert_int_equal(a.err, -ERR_UNAVAILABLE);
	db.away = false;
	int64_t total = total_of("running");
	assert_int_equal(total, 1);
	/* given up before the database began with it, and returned empty */
	list_of(&a, "stopped", 10);
	turn(400);
	assert_int_equal(a.answers, 2);
	assert_int_equal(a.err, -ERR_DEADLINE);
	land();
	assert_true(total_of("stopped") > total);
}

static void what_is_kept_is_bounded(UNUSED void **state)
{
	char status[16];
	for (int i = 0; i < 300; i++) {
		snprintf(status, sizeof status, "s%d", i);
		assert_int_equal(total_of(status), i + 1);
	}
	assert_int_equal(total_of("s299"), 300);
	assert_int_equal(total_of("s44"), 45);	/* the oldest one of 256 */
	assert_int_equal(total_of("s43"), 301); /* dropped, and read again */
	assert_int_equal(total_of("s44"), 302); /* in the place of which it is kept now */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_list_is_read_once_until_a_write), T(a_list_beside_a_write_is_not_kept),
		T(a_list_that_is_answered_before_the_write_does_not_outlive_it), T(failures_and_late_answers_are_not_kept), T(what_is_kept_is_bounded),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
