#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/cache.h"
#include "test/lib/loop_rig.h"

struct fix {
	struct loop *l;
	struct store_cache *c;
};

static int set_up(void **state)
{
	struct fix *f = XNEW(struct fix);
	f->l = loop_new();
	f->c = store_cache_new(f->l, 100000);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;
	store_cache_free(f->c);
	loop_free(f->l);
	free(f);
	return 0;
}

static void turn(struct fix *f)
{
	loop_rig_run_ms(f->l, 1);
}

static struct blob *text(int64_t version)
{
	char s[64];
	int n = snprintf(s, sizeof s, "{\"version\":%d}", (int)version);
	return blob_new(s, (size_t)n);
}

static void end_write(struct fix *f, struct cache_entry *e, enum cache_outcome o, int64_t version)
{
	_cleanup_(blob_unrefp) struct blob *b = text(version);
	store_cache_end_write(f->c, e, o, b, version);
}

static void end_read(struct fix *f, struct cache_entry *e, uint64_t generation, int64_t version)
{
	_cleanup_(blob_unrefp) struct blob *b = version ? text(version) : NULL;
	store_cache_end_read(f->c, e, generation, false, b, version);
}

static void store_one(struct fix *f, const char *id, int64_t version)
{
	end_write(f, store_cache_begin_write(f->c, COL_SERVERS, id), CACHE_STORED, version);
}

static int64_t peeked(struct fix *f, const char *id)
{
	struct store_doc doc;
	return store_cache_peek(f->c, COL_SERVERS, id, &doc) ? doc.version : 0;
}

static void write_enters_when_it_is_answered(void **state)
{
	struct fix *f = *state;
	struct store_doc doc;
	struct cache_entry *e = store_cache_begin_write(f->c, COL_SERVERS, "a");
	assert_int_equal(peeked(f, "a"), 0);
	end_write(f, e, CACHE_STORED, 3);
	assert_int_equal(peeked(f, "a"), 3);
	assert_false(store_cache_peek(f->c, COL_SESSIONS, "a", &doc)); /* another collection */
	e = store_cache_begin_write(f->c, COL_SERVERS, "a");
	assert_int_equal(peeked(f, "a"), 3); /* the version of the last answer is kept until the next answer */
	end_write(f, e, CACHE_SAME, 4);
	assert_int_equal(peeked(f, "a"), 3);
	end_write(f, store_cache_begin_write(f->c, COL_SERVERS, "a"), CACHE_UNKNOWN, 4);
	assert_int_equal(peeked(f, "a"), 0);
	store_one(f, "a", 5);
	end_write(f, store_cache_begin_write(f->c, COL_SERVERS, "a"), CACHE_DELETED, 0);
	assert_int_equal(peeked(f, "a"), 0);
	assert_int_equal(store_cache_bytes(f->c), 0);
}

static void read_that_raced_with_a_write_is_not_kept(void **state)
{
	struct fix *f = *state;
	static const enum cache_outcome outcomes[] = { CACHE_STORED, CACHE_DELETED, CACHE_UNKNOWN };
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		uint64_t g;
		struct cache_entry *r = store_cache_begin_read(f->c, COL_SERVERS, "a", &g);
		end_write(f, store_cache_begin_write(f->c, COL_SERVERS, "a"), outcomes[i], 2);
		end_read(f, r, g, 1);
		assert_int_equal(peeked(f, "a"), outcomes[i] == CACHE_STORED ? 2 : 0);
	}
	/* the write failed: the read is valid */
	uint64_t g;
	struct cache_entry *r = store_cache_begin_read(f->c, COL_SERVERS, "b", &g);
	end_write(f, store_cache_begin_write(f->c, COL_SERVERS, "b"), CACHE_SAME, 2);
	end_read(f, r, g, 1);
	assert_int_equal(peeked(f, "b"), 1);
}

static void read_from_before_a_write_is_replaced_by_it(void **state)
{
	struct fix *f = *state;
	uint64_t g;
	struct cache_entry *r = store_cache_begin_read(f->c, COL_SERVERS, "a", &g);
	struct cache_entry *w = store_cache_begin_write(f->c, COL_SERVERS, "a");
	end_read(f, r, g, 1);
	assert_int_equal(peeked(f, "a"), 1);
	end_write(f, w, CACHE_STORED, 2);
	assert_int_equal(peeked(f, "a"), 2);
}

static void newer_of_two_reads_is_kept(void **state)
{
	struct fix *f = *state;
	uint64_t g1, g2, g3;
	struct cache_entry *a = store_cache_begin_read(f->c, COL_SERVERS, "a", &g1);
	struct cache_entry *b = store_cache_begin_read(f->c, COL_SERVERS, "a", &g2);
	end_read(f, b, g2, 2); /* it read a commit whose answer is in flight */
	end_read(f, a, g1, 1);
	assert_int_equal(peeked(f, "a"), 2);
	struct cache_entry *c = store_cache_begin_read(f->c, COL_SERVERS, "a", &g3);
	end_read(f, c, g3, 0); /* it is being deleted */
	assert_int_equal(peeked(f, "a"), 0);
}

static void overlapping_writes_are_not_kept(void **state)
{
	struct fix *f = *state;
	struct cache_entry *a = store_cache_begin_write(f->c, COL_SERVERS, "a");
	struct cache_entry *b = store_cache_begin_write(f->c, COL_SERVERS, "a");
	end_write(f, b, CACHE_STORED, 3);
	assert_int_equal(peeked(f, "a"), 0);
	end_write(f, a, CACHE_STORED, 2);
	assert_int_equal(peeked(f, "a"), 0);
	store_one(f, "a", 4);
	assert_int_equal(peeked(f, "a"), 4);
}

static void borrowed_documents_live_until_the_turn_ends(void **state)
{
	struct fix *f = *state;
	struct store_doc doc;
	store_one(f, "a", 1);
	assert_true(store_cache_peek(f->c, COL_SERVERS, "a", &doc));
	json_t *parsed = store_cache_peek_doc(f->c, COL_SERVERS, "a");
	assert_ptr_equal(parsed, store_cache_peek_doc(f->c, COL_SERVERS, "a"));
	end_write(f, store_cache_begin_write(f->c, COL_SERVERS, "a"), CACHE_DELETED, 0);
	assert_string_equal(doc.text->data, "{\"version\":1}"); /* ASan checks this */
	assert_int_equal(doc_int(parsed, "version", 0), 1);
	blob_ref(doc.text);
	turn(f);
	assert_int_equal(doc.text->refs, 1);
	blob_unref(doc.text);
}

static void bytes_are_bounded_and_least_used_are_evicted(void **state)
{
	struct fix *f = *state;
	char id[16];
	store_one(f, "kept", 1);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof id, "k%d", i);
		store_one(f, id, i + 1);
		assert_int_equal(peeked(f, "kept"), 1);
		store_cache_peek_doc(f->c, COL_SERVERS, id);
		assert_true(store_cache_bytes(f->c) <= 100000);
	}
	assert_int_equal(peeked(f, "k0"), 0);
	assert_int_equal(peeked(f, "k1999"), 2000);
	/* a document that would evict all others is not kept */
	struct blob *big = blob_new(NULL, 50000);
	memset(big->data, ' ', 50000);
	store_cache_end_write(f->c, store_cache_begin_write(f->c, COL_SERVERS, "kept"), CACHE_STORED, big, 2);
	assert_int_equal(peeked(f, "kept"), 0);
	assert_int_equal(peeked(f, "k1999"), 2000);
	blob_unref(big);
}

static void held_entry_survives_eviction(void **state)
{
	struct fix *f = *state;
	char id[16];
	uint64_t g;
	store_one(f, "a", 1);
	struct cache_entry *r = store_cache_begin_read(f->c, COL_SERVERS, "a", &g);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof id, "k%d", i);
		store_one(f, id, 1);
	}
	assert_int_equal(peeked(f, "a"), 0);
	end_read(f, r, g, 1);
	assert_int_equal(peeked(f, "a"), 1);
}

static void cache_of_no_bytes_keeps_nothing(void **state)
{
	struct fix *f = *state;
	struct store_cache *c = f->c;
	f->c = store_cache_new(f->l, 0);
	store_one(f, "a", 1);
	assert_int_equal(peeked(f, "a"), 0);
	store_cache_free(f->c);
	f->c = c;
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(write_enters_when_it_is_answered),
		T(read_that_raced_with_a_write_is_not_kept),
		T(read_from_before_a_write_is_replaced_by_it),
		T(newer_of_two_reads_is_kept),
		T(overlapping_writes_are_not_kept),
		T(borrowed_documents_live_until_the_turn_ends),
		T(bytes_are_bounded_and_least_used_are_evicted),
		T(held_entry_survives_eviction),
		T(cache_of_no_bytes_keeps_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
