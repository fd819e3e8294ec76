/* The part of the store's suite with many concurrent requests. */
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "lucid/str.h"
#include "test/contract/store_suite.h"

/* --- compare and swap: 64 writers increment one counter, each from its own reads */

#define RACERS 64
#define ROUNDS 8
struct racer {
	struct store *s;
	struct race *race;
	int wins, losses;
	int64_t base;
};
struct race {
	struct racer racers[RACERS];
	int left;
	bool done;
	int64_t seen; /* highest version of any answer */
};

static void race_read(struct racer *r);

static void on_race_write(enum store_result result, UNUSED size_t i, UNUSED int err, void *arg)
{
	struct racer *r = arg;
	suite_answered();
	assert_true(result == STORE_OK || result == STORE_STALE);
	if (result == STORE_OK) {
		assert_int_equal(r->base, r->race->seen); /* exactly one writer wins each version */
		r->race->seen = r->base + 1;
		r->wins++;
		/* a peek shows the version of the answer, or nothing */
		struct store_doc doc;
		if (store_peek(r->s, COL_SERVERS, "c", &doc))
			assert_true(doc.version >= r->race->seen);
	} else {
		r->losses++;
	}
	if (r->wins < ROUNDS)
		race_read(r);
	else if (--r->race->left == 0)
		r->race->done = true;
}

static void on_race_read(enum store_result result, const struct store_doc *doc, UNUSED int err, void *arg)
{
	struct racer *r = arg;
	suite_answered();
	assert_int_equal(result, STORE_OK);
	assert_true(doc->version >= r->base); /* the read began after that answer */
	r->base = doc->version;
	json_t *next = suite_doc("c", r->base + 1);
	struct store_op op = { STORE_REPLACE, COL_SERVERS, "c", r->base, next };
	store_write(r->s, &op, 1, on_race_write, r);
	json_decref(next);
}

static void race_read(struct racer *r)
{
	r->base = r->race->seen;
	store_get(r->s, COL_SERVERS, "c", on_race_read, r);
}

static void each_version_has_one_winner_among_64_writers(void **state)
{
	struct suite_fix *f = *state;
	assert_int_equal(PUT(STORE_INSERT, "c", 0, 1), STORE_OK);
	struct race *race = XNEW(struct race);
	race->left = RACERS;
	race->seen = 1;
	for (int i = 0; i < RACERS; i++) {
		race->racers[i].s = f->s;
		race->racers[i].race = race;
		race_read(&race->racers[i]);
	}
	suite_until(f->l, &race->done);
	assert_int_equal(race->seen, 1 + RACERS * ROUNDS);
	assert_int_equal(suite_version(f, "c"), 1 + RACERS * ROUNDS);
	free(race);
}

static void one_of_64_inserts_wins(void **state)
{
	struct suite_fix *f = *state;
	struct suite_answer *a = xcalloc(RACERS, sizeof *a);
	json_t *doc = suite_doc("x", 1);
	struct store_op op = { STORE_INSERT, COL_PORTS, "node:3389", 0, doc };
	int won = 0;
	for (int i = 0; i < RACERS; i++)
		store_write(f->s, &op, 1, suite_on_write, &a[i]);
	for (int i = 0; i < RACERS; i++) {
		suite_until(f->l, &a[i].done);
		assert_true(a[i].result == STORE_OK || a[i].result == STORE_EXISTS);
		won += a[i].result == STORE_OK;
	}
	assert_int_equal(won, 1);
	json_decref(doc);
	free(a);
}

/* --- reads under load: many ids, writes and reads mixed; neither get nor peek ever returns an older version than an answer that
 * arrived before the request */

#define KEYS 40
struct mix {
	struct suite_fix *f;
	int64_t answered[KEYS]; /* 0: deleted */
	int64_t next[KEYS];
	int writes, reads, writing[KEYS];
	bool done;
};
struct mix_read {
	struct mix *m;
	int key;
	int64_t at_least;
};

static void mix_check(struct mix *m, int key)
{
	char id[16];
	struct store_doc doc;
	snprintf(id, sizeof id, "k%d", key);
	if (!store_peek(m->f->s, COL_SESSIONS, id, &doc))
		return;
	assert_true(m->answered[key] > 0 || m->writing[key]);
	assert_true(doc.version >= m->answered[key]);
	json_t *parsed = store_peek_doc(m->f->s, COL_SESSIONS, id);
	assert_int_equal(doc_int(parsed, "version", 0), doc.version);
	assert_string_equal(doc_str(parsed, "k", ""), id);
}

static void on_mix_read(enum store_result result, const struct store_doc *doc, UNUSED int err, void *arg)
{
	struct mix_read *r = arg;
	suite_answered();
	assert_true(result == STORE_OK || result == STORE_MISSING);
	if (result == STORE_OK)
		assert_true(doc->version >= r->at_least);
	mix_check(r->m, r->key);
	if (--r->m->reads == 0 && !r->m->writes)
		r->m->done = true;
	free(r);
}

static void mix_read(struct mix *m, int key)
{
	char id[16];
	struct mix_read *r = XNEW(struct mix_read);
	*r = (struct mix_read){ m, key, m->answered[key] };
	snprintf(id, sizeof id, "k%d", key);
	m->reads++;
	store_get(m->f->s, COL_SESSIONS, id, on_mix_read, r);
}

static void mix_write(struct mix *m, int key);

static void on_mix_write(enum store_result result, UNUSED size_t i, UNUSED int err, void *arg)
{
	struct mix_read *r = arg;
	struct mix *m = r->m;
	suite_answered();
	assert_int_equal(result, STORE_OK);
	m->writing[r->key]--;
	m->answered[r->key] = r->at_least;
	mix_check(m, r->key);
	mix_read(m, r->key);
	if (m->next[r->key] < 60)
		mix_write(m, r->key);
	m->writes--;
	free(r);
}

static void mix_write(struct mix *m, int key)
{
	char id[16];
	struct mix_read *r = XNEW(struct mix_read);
	int64_t v = ++m->next[key];
	bool del = v % 7 == 0; /* the next write inserts it again */
	*r = (struct mix_read){ m, key, del ? 0 : v };
	snprintf(id, sizeof id, "k%d", key);
	json_t *doc = del ? NULL : suite_doc(id, v);
	struct store_op op = { del ? STORE_DELETE : STORE_PUT, COL_SESSIONS, id, 0, doc };
	m->writes++;
	m->writing[key]++;
	mix_read(m, key); /* races with the write */
	store_write(m->f->s, &op, 1, on_mix_write, r);
	mix_read(m, key);
	json_decref(doc);
}

static void mixed_load(struct suite_fix *f)
{
	struct mix *m = XNEW(struct mix);
	m->f = f;
	for (int i = 0; i < KEYS; i++)
		mix_write(m, i);
	suite_until(f->l, &m->done);
	for (int i = 0; i < KEYS; i++)
		mix_check(m, i);
	free(m);
}

static void reads_see_answered_writes_under_load(void **state)
{
	mixed_load(*state);
}

static void reads_see_answered_writes_with_a_small_cache(void **state)
{
	struct suite_fix *f = *state;
	suite_reopen(f, &(struct store_suite_options){ .queue_limit = 4096, .timeout_ms = 30000, .cache_bytes = 4000 });
	mixed_load(f);
}

static void peek_shows_nothing_before_the_answer(void **state)
{
	struct suite_fix *f = *state;
	struct store_doc doc;
	struct suite_answer a = { .done = false };
	json_t *d = suite_doc("p", 1);
	struct store_op op = { STORE_INSERT, COL_SERVERS, "p", 0, d };
	store_write(f->s, &op, 1, suite_on_write, &a);
	assert_false(store_peek(f->s, COL_SERVERS, "p", &doc));
	assert_null(store_peek_doc(f->s, COL_SERVERS, "p"));
	suite_until(f->l, &a.done);
	if (store_peek(f->s, COL_SERVERS, "p", &doc))
		assert_int_equal(doc.version, 1);
	assert_int_equal(PUT(STORE_DELETE, "p", 0, 0), STORE_OK);
	assert_false(store_peek(f->s, COL_SERVERS, "p", &doc));
	json_decref(d);
}

int store_race_suite_run(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, suite_set_up, suite_tear_down)
	const struct CMUnitTest tests[] = {
		T(each_version_has_one_winner_among_64_writers),
		T(one_of_64_inserts_wins),
		T(reads_see_answered_writes_under_load),
		T(reads_see_answered_writes_with_a_small_cache),
		T(peek_shows_nothing_before_the_answer),
	};
	return cmocka_run_group_tests_name("store: races", tests, NULL, NULL);
}
