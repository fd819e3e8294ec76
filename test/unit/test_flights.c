/* Coalesced reads of a database: of equal reads one is in flight at a time, and no reader gets an answer that is older than its request. */
#include "played_store.h"

static int setup(UNUSED void **state)
{
	return played_open(false);
}

/* --- */

static void who_asks_meanwhile_is_answered_by_one_read_after(UNUSED void **state)
{
	struct asker first = { 0 }, later[20] = { 0 };
	struct asker same_turn = { 0 };
	get(&first, "a");
	get(&same_turn, "a");
	assert_int_equal(db.asked, 0); /* at the end of the turn */
	turn(2);
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		get(&later[i], "a");
	turn(2);
	assert_int_equal(db.asked, 1);
	land();
	assert_int_equal(first.answers, 1);
	assert_int_equal(first.version, 1);
	assert_int_equal(same_turn.version, 1);
	assert_int_equal(db.asked, 2);
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		assert_int_equal(later[i].answers, 0); /* the answered read had begun before their requests */
	land();
	assert_int_equal(db.asked, 2);
	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		assert_int_equal(later[i].answers, 1);
		assert_int_equal(later[i].version, 2);
	}
	get(&first, "a"); /* answers are not cached */
	turn(2);
	assert_int_equal(db.asked, 3);
	land();
	assert_int_equal(first.version, 3);
}

static void other_questions_go_side_by_side(UNUSED void **state)
{
	struct asker a[9] = { 0 };
	struct store_query by_name = { .sort = { .path = "name" }, .limit = 5 }, backwards = { .sort = { .path = "name", .descending = true }, .limit = 5 };
	get(&a[0], "a");
	get(&a[1], "b");
	store_get(store, COL_NAMES, "a", got, &a[2]);
	list_of(&a[3], "running", 5);
	list_of(&a[4], "stopped", 5);
	list_of(&a[5], "running", 6);
	store_list(store, COL_SERVERS, &by_name, listed, &a[6]);
	store_list(store, COL_SERVERS, &backwards, listed, &a[7]);
	turn(2);
	assert_int_equal(db.asked, 8);
	list_of(&a[8], "running", 5);
	turn(2);
	assert_int_equal(db.asked, 8);
	land();
	land();
	assert_int_equal(db.asked, 9);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(a[i].answers, 1);
	assert_int_equal(a[8].docs, 2);
	assert_int_equal(a[8].total, 9);
}

static void failures_are_for_all_who_were_on_board(UNUSED void **state)
{
	struct asker a[4] = { 0 };
	get(&a[0], "a");
	turn(2);
	for (size_t i = 1; i < ARRAY_LEN(a); i++)
		get(&a[i], "a");
	land();
	db.away = true;
	land();
	assert_int_equal(a[0].result, STORE_OK);
	for (size_t i = 1; i < ARRAY_LEN(a); i++) {
		assert_int_equal(a[i].answers, 1);
		assert_int_equal(a[i].err, -ERR_UNAVAILABLE);
	}
}

static void nobody_waits_past_his_deadline(UNUSED void **state)
{
	struct asker a[3] = { 0 }, late[2] = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		get(&a[i], "a");
		turn(2);
	}
	turn(94);
	for (size_t i = 0; i < ARRAY_LEN(late); i++)
		get(&late[i], "a");
	turn(100); /* the database is silent */
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		assert_int_equal(a[i].answers, 1);
		assert_int_equal(a[i].err, -ERR_DEADLINE);
	}
	assert_int_equal(late[0].answers, 0);
	land(); /* a reader that timed out is not called, and does not delay the others */
	land();
	assert_int_equal(db.asked, 2);
	for (size_t i = 0; i < ARRAY_LEN(late); i++) {
		assert_int_equal(late[i].answers, 1);
		assert_int_equal(late[i].result, STORE_OK);
	}
	assert_int_equal(db.version, 1);
}

static struct asker again;
static void got_and_asks(UNUSED enum store_result result, UNUSED const struct store_doc *doc, UNUSED int err, UNUSED void *arg)
{
	if (!again.answers)
		get(&again, "a");
}

static void an_answer_may_ask_again(UNUSED void **state)
{
	struct asker b = { 0 };
	again = (struct asker){ 0 };
	store_get(store, COL_SERVERS, "a", got_and_asks, NULL);
	turn(2);
	get(&b, "a");
	for (int i = 0; i < 4; i++)
		land();
	assert_int_equal(b.answers, 1);
	assert_int_equal(again.answers, 1);
	assert_true(again.version > 1);
}

static void the_end_answers_everybody(UNUSED void **state)
{
	struct asker a[5] = { 0 };
	get(&a[0], "a");
	turn(2);
	for (size_t i = 1; i < ARRAY_LEN(a); i++)
		get(&a[i], "a");
	store_close(store);
	loop_free(loop);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(a[i].answers, 1);
	assert_int_equal(a[4].err, -ERR_UNAVAILABLE);
	setup(NULL);
}

static void the_bound_counts_those_who_wait(UNUSED void **state)
{
	static struct asker a[120];
	memset(a, 0, sizeof a);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		get(&a[i], "a");
		if (!i)
			turn(2);
	}
	turn(2);
	assert_int_equal(a[99].answers, 0);
	for (size_t i = 100; i < ARRAY_LEN(a); i++)
		assert_int_equal(a[i].err, -ERR_BUSY);
	land();
	land();
	assert_int_equal(a[99].version, 2);
	get(&a[0], "a");
	turn(2);
	land();
	assert_int_equal(a[0].answers, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_asks_meanwhile_is_answered_by_one_read_after), T(other_questions_go_side_by_side), T(failures_are_for_all_who_were_on_board),
		T(nobody_waits_past_his_deadline), T(an_answer_may_ask_again), T(the_end_answers_everybody), T(the_bound_counts_those_who_wait),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
