/* audit: the chain itself, and the log on a real store: recovery, an unreachable store, bounds, summaries and retention. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/audit/audit.h"
#include "api/audit/core.h"
#include "api/audit/fold.h"
#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/str.h"
#include "store/open.h"
#include "store/sqlite/walk.h"
#include "sys/log.h"
#include "test/lib/loop_rig.h"

#define DAY_MS 86400000LL

static struct {
	struct loop *loop;
	struct store *store;
	struct audit *audit;
	char dir[32], path[64];
} t;

static void open_log(int64_t days)
{
	t.loop = loop_new();
	t.store = store_open_embedded(t.loop, &(struct store_options){ .path = t.path, .queue_limit = 4096, .timeout_ms = 5000 }, NULL, NULL);
	t.audit = audit_new(t.loop, t.store, days);
}

static void close_store(void)
{
	store_close(t.store);
	audit_free(t.audit);
	loop_free(t.loop);
}

static void drain(void)
{
	audit_drain(t.audit, loop_rig_stop, t.loop);
	loop_run(t.loop);
}

static void run_until_written(void)
{
	for (int i = 0; i < 30000 && (t.audit->n || !t.audit->known); i++)
		loop_rig_run_ms(t.loop, 1);
	assert_int_equal(t.audit->n, 0);
}

static void note(const char *action, const char *object, int err)
{
	audit_note(t.audit, &(struct audit_fact){ .actor = "anna", .action = action, .object = object, .from = "192.0.2.1",
						  .request_id = "r-1", .err = err });
}

/* --- the content of the file */

struct seen {
	struct audit_check check;
	json_t *entries;
	bool fits;
};

static bool on_entry(const char *id, const char *text, size_t len, bool fits, void *arg)
{
	struct seen *s = arg;
	s->fits &= fits;
	if (!str_eq(id, AUDIT_ANCHOR))
		json_array_append_new(s->entries, doc_parse(text, len, NULL, 0));
	return audit_check_next(&s->check, id, text, len);
}

static json_t *read_whole(void)
{
	struct seen s = { .entries = json_array(), .fits = true };
	char why[600];
	audit_check_init(&s.check);
	assert_int_equal(store_walk(t.path, COL_AUDIT, on_entry, &s, why, sizeof why), 0);
	if (*s.check.why)
		fail_msg("%s", s.check.why);
	assert_true(s.fits);
	return s.entries;
}

static size_t count_action(const json_t *entries, const char *action)
{
	size_t i, n = 0;
	json_t *e;
	json_array_foreach((json_t *)entries, i, e)
		n += str_eq(doc_str(e, "action", ""), action);
	return n;
}

/* --- the chain alone */

static void test_chain(UNUSED void **state)
{
	struct audit_head h;
	char id[AUDIT_ID_SIZE];
	json_t *list[6];
	audit_head_init(&h);
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		list[i] = json_pack("{s:s, s:s}", "time", "2026-11-21T10:00:00.000Z", "action", "\u00fcber \"quoted\"\n");
		audit_chain_add(&h, list[i]);
		assert_int_equal(doc_int(list[i], "seq", 0), i + 1);
	}
	struct audit_head first = h;
	audit_chain_add(&h, list[5]); /* again, as after a batch that failed: the chain must be the same */
	assert_string_not_equal(first.hash, h.hash);
	audit_head_from(&h, list[4]);
	audit_chain_add(&h, list[5]);
	assert_string_equal(first.hash, h.hash);
	struct audit_check c;
	audit_check_init(&c);
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		_cleanup_(xfreep) char *text = doc_text(list[i]);
		audit_id(id, (int64_t)i + 1);
		assert_true(audit_check_next(&c, id, text, strlen(text)));
	}
	assert_int_equal(c.entries, 6);
	assert_string_equal(c.last.hash, h.hash);
	/* any changed member is detected, also an additional one */
	audit_id(id, 1);
	static const char *const members[] = { "time", "action", "prev", "hash", "more" };
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		_cleanup_(doc_unrefp) json_t *other = json_deep_copy(list[0]);
		doc_set_str(other, members[i], "0000000000000000000000000000000000000000000000000000000000000001");
		_cleanup_(xfreep) char *text = doc_text(other);
		audit_check_init(&c);
		assert_false(audit_check_next(&c, id, text, strlen(text)));
		assert_non_null(strstr(c.why, "was modified"));
	}
	/* an entry that is valid itself but follows another one */
	_cleanup_(doc_unrefp) json_t *forged = json_deep_copy(list[0]);
	struct audit_head zero;
	audit_head_init(&zero);
	doc_set_str(forged, "action", "something else");
	audit_chain_add(&zero, forged);
	audit_check_init(&c);
	_cleanup_(xfreep) char *text = doc_text(forged), *second = doc_text(list[1]);
	assert_true(audit_check_next(&c, id, text, strlen(text)));
	audit_id(id, 2);
	assert_false(audit_check_next(&c, id, second, strlen(second)));
	assert_non_null(strstr(c.why, "was replaced"));
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		json_decref(list[i]);
}

static void test_no_document(UNUSED void **state)
{
	static const char *const bad[] = { "", "[]", "{}", "null", "{\"seq\":1}", "{\"seq\":\"1\",\"hash\":3}", "{\"seq\":-1}", "{" };
	struct audit_check c;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		audit_check_init(&c);
		assert_false(audit_check_next(&c, "00000000000000000001", bad[i], strlen(bad[i])));
		audit_check_init(&c);
		assert_false(audit_check_next(&c, AUDIT_ANCHOR, bad[i], strlen(bad[i])));
	}
}

/* --- the log on a store */

static void test_chain_continues_after_a_restart(UNUSED void **state)
{
	for (int round = 0; round < 3; round++) {
		open_log(365);
		for (int i = 0; i < 200; i++)
			note("rdp.servers.create", "x", i % 3 == 0 ? 0 : i % 3 == 1 ? ERR_INVALID : ERR_INTERNAL);
		drain();
		close_store();
		_cleanup_(doc_unrefp) json_t *all = read_whole();
		assert_int_equal(json_array_size(all), (size_t)(round + 1) * 202);
		const json_t *e = json_array_get(all, 2);
		assert_string_equal(doc_str(e, "outcome", ""), "refused");
		assert_string_equal(doc_str(e, "code", ""), "LUCID_ERR_0005");
		assert_string_equal(doc_str(json_array_get(all, 3), "outcome", ""), "failed");
		assert_true(json_is_null(json_object_get(json_array_get(all, 1), "code")));
	}
}

/* Entries that were with the store when the process ended are there or not; the next process continues from those that are. */
static void test_unclean_end(UNUSED void **state)
{
	open_log(365);
	run_until_written();
	for (int i = 0; i < 500; i++)
		note("rdp.servers.create", "x", 0);
	struct loop_timer *soon = loop_timer_new(t.loop, loop_rig_stop, t.loop);
	loop_timer_set_us(soon, 100);
	loop_run(t.loop); /* some are in flight */
	loop_timer_free(soon);
	close_store();
	open_log(365);
	drain();
	close_store();
	_cleanup_(doc_unrefp) json_t *all = read_whole();
	assert_int_equal(count_action(all, "audit.start"), 2);
	assert_int_equal(count_action(all, "audit.stop"), 1);
}

/* Another writer used the next numbers: its entries stay, this log's follow. */
static void on_put(enum store_result result, UNUSED size_t failed, UNUSED int err, void *arg)
{
	assert_int_equal(result, STORE_OK);
	loop_stop(arg);
}

static void test_two_writers(UNUSED void **state)
{
	open_log(365);
	run_until_written();
	struct audit_head h = t.audit->head;
	_cleanup_(doc_unrefp) json_t *e = json_pack("{s:i, s:s, s:s}", "seq", 0, "time", "2026-11-21T10:00:00.000Z", "action", "theirs");
	char id[AUDIT_ID_SIZE];
	audit_chain_add(&h, e);
	audit_id(id, h.seq);
	store_write(t.store, &(struct store_op){ .verb = STORE_INSERT, .col = COL_AUDIT, .id = id, .doc = e }, 1, on_put, t.loop);
	loop_run(t.loop);
	for (int i = 0; i < 100; i++)
		note("ours", "x", 0);
	run_until_written();
	drain();
	close_store();
	_cleanup_(doc_unrefp) json_t *all = read_whole();
	assert_int_equal(count_action(all, "theirs"), 1);
	assert_int_equal(count_action(all, "ours"), 100);
	assert_int_equal(json_array_size(all), 103);
}

/* While the store cannot be opened, entries wait, up to the bound; the number of dropped ones is logged in an entry of its own. */
static void test_store_away(UNUSED void **state)
{
	char good[64];
	str_copy(good, sizeof good, t.path);
	snprintf(t.path, sizeof t.path, "%s/later/s.db", t.dir);
	open_log(365);
	for (int i = 0; i < AUDIT_QUEUE + 100; i++)
		note("rdp.servers.create", "x", 0);
	assert_int_equal(t.audit->n, AUDIT_QUEUE);
	assert_int_equal(t.audit->lost, 101); /* audit.start took one place */
	loop_rig_run_ms(t.loop, 50);
	assert_int_equal(t.audit->n, AUDIT_QUEUE);
	char dir[64];
	snprintf(dir, sizeof dir, "%s/later", t.dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	run_until_written();
	drain();
	close_store();
	_cleanup_(doc_unrefp) json_t *all = read_whole();
	assert_int_equal(count_action(all, "rdp.servers.create"), AUDIT_QUEUE - 1);
	assert_int_equal(count_action(all, "audit.lost"), 1);
	size_t i;
	json_t *e;
	json_array_foreach(all, i, e)
		if (str_eq(doc_str(e, "action", ""), "audit.lost"))
			assert_int_equal(doc_int(e, "count", 0), 101);
}

/* The store never opens: the exit does not wait for it. */
static void test_drain_without_a_store(UNUSED void **state)
{
	snprintf(t.path, sizeof t.path, "%s/never/s.db", t.dir);
	open_log(365);
	note("rdp.servers.create", "x", 0);
	drain();
	close_store();
}

static void test_fold(UNUSED void **state)
{
	open_log(365);
	run_until_written();
	for (int i = 0; i < 1000; i++)
		note("rdp.servers.get", "x", ERR_UNAUTHENTICATED);
	for (int i = 0; i < 10; i++)
		note("rdp.servers.delete", "x", ERR_SERVER_NOT_FOUND); /* each has an entry of its own */
	char from[32];
	for (int i = 0; i < 2000; i++) { /* more addresses than kinds */
		snprintf(from, sizeof from, "2001:db8::%x", i);
		audit_note(t.audit, &(struct audit_fact){ .action = "rdp.servers.get", .from = from, .err = ERR_UNAUTHENTICATED });
	}
	drain();
	close_store();
	_cleanup_(doc_unrefp) json_t *all = read_whole();
	assert_int_equal(count_action(all, "rdp.servers.delete"), 10);
	int64_t total = 0;
	size_t i;
	json_t *e;
	json_array_foreach(all, i, e)
		if (str_eq(doc_str(e, "code", ""), "LUCID_ERR_0002"))
			total += doc_int(e, "count", 1);
	assert_int_equal(total, 3000); /* all are counted */
	assert_true(json_array_size(all) < 600);
}

static void test_retention(UNUSED void **state)
{
	open_log(30);
	for (int i = 0; i < 300; i++)
		note("old", "x", 0);
	run_until_written();
	drain();
	close_store();

	clock_shift_ms(20 * DAY_MS);
	open_log(30);
	for (int i = 0; i < 100; i++)
		note("young", "x", 0);
	run_until_written();
	drain();
	close_store();
	_cleanup_(doc_unrefp) json_t *all = read_whole();
	assert_int_equal(count_action(all, "old"), 300); /* not removed yet */

	clock_shift_ms(12 * DAY_MS);
	for (int round = 0; round < 2; round++) {
		open_log(30);
		for (int i = 0; i < 500 && (!t.audit->known || t.audit->head.seq < 407 || t.audit->n); i++)
			loop_rig_run_ms(t.loop, 10);
		drain();
		close_store();
		_cleanup_(doc_unrefp) json_t *left = read_whole(); /* and the chain is valid */
		assert_int_equal(count_action(left, "old"), 0);
		assert_int_equal(count_action(left, "young"), 100);
		assert_int_equal(count_action(left, "audit.sweep"), 1);
	}
	/* everything is removed, and the numbers continue */
	clock_shift_ms(100 * DAY_MS);
	open_log(1);
	loop_rig_run_ms(t.loop, 500);
	close_store();
	open_log(1);
	drain();
	close_store();
	_cleanup_(doc_unrefp) json_t *rest = read_whole();
	assert_int_equal(count_action(rest, "young"), 0);
	assert_true(doc_int(json_array_get(rest, 0), "seq", 0) > 400);
	clock_shift_ms(-132 * DAY_MS);
}

static int set_up(UNUSED void **state)
{
	strcpy(t.dir, "/tmp/lrdp-audit-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	snprintf(t.path, sizeof t.path, "%s/s.db", t.dir);
	log_setup(LOG_ERROR_, LOG_JSON, STDERR_FILENO);
	return 0;
}

static int tear_down(UNUSED void **state)
{
	_cleanup_(xfreep) char *rm = xasprintf("rm -rf %s", t.dir);
	return system(rm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_no_document),
		cmocka_unit_test_setup_teardown(test_chain_continues_after_a_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unclean_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_writers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_store_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drain_without_a_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_retention, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
