#include "test/contract/store_suite.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "lucid/str.h"

static const struct store_factory *factory;
const struct store_suite_options suite_usual = { .queue_limit = 4096, .timeout_ms = 30000, .cache_bytes = 1u << 20 };

/* --- waiting */

#define SILENCE_MS 60000 /* without an answer to any request, the store hangs */

struct wait {
	struct loop *l;
	const bool *flag;
	struct loop_timer *tick;
	int64_t left;
};

static struct wait *waiting;

/* Ends the wait for any answer. A test may need thousands of them, and minutes on a busy machine. */
void suite_answered(void)
{
	if (!waiting || !waiting->flag)
		return;
	waiting->left = SILENCE_MS;
	if (*waiting->flag)
		loop_stop(waiting->l);
}

static void on_tick(void *arg)
{
	struct wait *w = arg;
	if ((w->flag && *w->flag) || --w->left <= 0)
		loop_stop(w->l);
	else
		loop_timer_set(w->tick, 1);
}

static void wait_for(struct loop *l, const bool *flag, int64_t ticks)
{
	struct wait w = { .l = l, .flag = flag, .left = ticks };
	if (flag && *flag)
		return;
	w.tick = loop_timer_new(l, on_tick, &w);
	loop_timer_set(w.tick, 1);
	waiting = &w;
	loop_run(l);
	waiting = NULL;
	loop_timer_free(w.tick);
}

void suite_turn(struct loop *l, int64_t ms)
{
	wait_for(l, NULL, ms);
}

void suite_until(struct loop *l, const bool *flag)
{
	wait_for(l, flag, SILENCE_MS);
	if (!*flag) {
		fprintf(stderr, "store suite: no request was answered for %d s\n", SILENCE_MS / 1000);
		abort();
	}
}

void suite_on_write(enum store_result result, size_t failed_index, int err, void *arg)
{
	struct suite_answer *a = arg;
	assert_false(a->done);
	a->result = result;
	a->failed_index = failed_index;
	a->err = err;
	a->done = true;
	suite_answered();
}

static void on_get(enum store_result result, const struct store_doc *doc, int err, void *arg)
{
	struct suite_answer *a = arg;
	assert_false(a->done);
	assert_int_equal(doc != NULL, result == STORE_OK);
	a->result = result;
	a->err = err;
	a->text = doc ? xstrndup(doc->text->data, doc->text->len) : NULL;
	a->version = doc ? doc->version : 0;
	a->done = true;
	suite_answered();
}

static void on_list(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct suite_answer *a = arg;
	assert_false(a->done);
	a->result = result;
	a->err = err;
	a->n = n;
	a->total = total;
	for (size_t i = 0; i < n && i < ARRAY_LEN(a->ids); i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		assert_non_null(doc);
		assert_true(str_copy(a->ids[i], sizeof a->ids[i], doc_str(doc, "k", "?")));
		json_decref(doc);
	}
	a->done = true;
	suite_answered();
}

void suite_write(struct loop *l, struct store *s, const struct store_op *ops, size_t n, struct suite_answer *ret)
{
	*ret = (struct suite_answer){ .done = false };
	store_write(s, ops, n, suite_on_write, ret);
	assert_false(ret->done); /* never within the call */
	suite_until(l, &ret->done);
}

void suite_get(struct loop *l, struct store *s, enum store_collection col, const char *id, struct suite_answer *ret)
{
	*ret = (struct suite_answer){ .done = false };
	store_get(s, col, id, on_get, ret);
	assert_false(ret->done);
	suite_until(l, &ret->done);
}

void suite_list(struct loop *l, struct store *s, enum store_collection col, const struct store_query *q,
		struct suite_answer *ret)
{
	*ret = (struct suite_answer){ .done = false };
	store_list(s, col, q, on_list, ret);
	assert_false(ret->done);
	suite_until(l, &ret->done);
}

json_t *suite_doc(const char *key, int64_t version)
{
	json_t *doc = json_object();
	doc_set_str(doc, "k", key);
	doc_set_int(doc, "version", version);
	return doc;
}

enum store_result suite_put(struct loop *l, struct store *s, enum store_verb verb, enum store_collection col, const char *id,
			    int64_t expect, json_t *consume)
{
	struct suite_answer a;
	struct store_op op = { verb, col, id, expect, consume };
	suite_write(l, s, &op, 1, &a);
	json_decref(consume);
	assert_int_equal(a.err != 0, a.result == STORE_FAILED);
	return a.result;
}

/* --- fixture: an empty store for each test */

static void open_named(struct suite_fix *f, const struct store_suite_options *o)
{
	f->l = loop_new();
	f->s = factory->open(f->l, f->name, o);
}

int suite_set_up(void **state)
{
	static int count;
	struct suite_fix *f = XNEW(struct suite_fix);
	snprintf(f->name, sizeof f->name, "s%d", ++count);
	open_named(f, &suite_usual);
	*state = f;
	return 0;
}

int suite_tear_down(void **state)
{
	struct suite_fix *f = *state;
	factory->close(f->s);
	loop_free(f->l);
	free(f);
	return 0;
}

void suite_reopen(struct suite_fix *f, const struct store_suite_options *o)
{
	factory->close(f->s);
	loop_free(f->l);
	open_named(f, o);
}

int64_t suite_version(struct suite_fix *f, const char *id)
{
	struct suite_answer a;
	suite_get(f->l, f->s, COL_SERVERS, id, &a);
	assert_true(a.result == STORE_OK || a.result == STORE_MISSING);
	free(a.text);
	return a.result == STORE_OK ? a.version : 0;
}

/* --- one document */

static void results_of_single_writes(void **state)
{
	struct suite_fix *f = *state;
	assert_int_equal(suite_version(f, "a"), 0);
	assert_int_equal(PUT(STORE_REPLACE, "a", 0, 1), STORE_MISSING);
	assert_int_equal(PUT(STORE_REPLACE, "a", 1, 2), STORE_MISSING);
	assert_int_equal(PUT(STORE_DELETE, "a", 0, 0), STORE_MISSING);
	assert_int_equal(PUT(STORE_DELETE, "a", 3, 0), STORE_MISSING);
	assert_int_equal(PUT(STORE_INSERT, "a", 0, 1), STORE_OK);
	assert_int_equal(PUT(STORE_INSERT, "a", 0, 9), STORE_EXISTS);
	assert_int_equal(suite_version(f, "a"), 1);
	assert_int_equal(PUT(STORE_REPLACE, "a", 2, 3), STORE_STALE);
	assert_int_equal(PUT(STORE_REPLACE, "a", 1, 2), STORE_OK);
	assert_int_equal(PUT(STORE_REPLACE, "a", 1, 2), STORE_STALE);
	assert_int_equal(PUT(STORE_REPLACE, "a", 0, 5), STORE_OK);
	assert_int_equal(suite_version(f, "a"), 5);
	assert_int_equal(PUT(STORE_DELETE, "a", 4, 0), STORE_STALE);
	assert_int_equal(suite_version(f, "a"), 5);
	assert_int_equal(PUT(STORE_DELETE, "a", 5, 0), STORE_OK);
	assert_int_equal(suite_version(f, "a"), 0);
	assert_int_equal(PUT(STORE_PUT, "a", 0, 1), STORE_OK);
	assert_int_equal(PUT(STORE_PUT, "a", 0, 7), STORE_OK);
	assert_int_equal(suite_version(f, "a"), 7);
	assert_int_equal(PUT(STORE_DELETE, "a", 0, 0), STORE_OK);
	assert_int_equal(suite_version(f, "a"), 0);
}

static void bad_requests_are_refused(void **state)
{
	struct suite_fix *f = *state;
	struct suite_answer a;
	char long_id[STORE_ID_MAX + 2];
	memset(long_id, 'x', sizeof long_id);
	long_id[STORE_ID_MAX + 1] = 0;
	json_t *good = suite_doc("x", 1), *no_version = json_pack("{s:s}", "k", "x"), *array = json_array();
	const struct store_op bad[] = {
		{ STORE_INSERT, COL_SERVERS, "", 0, good },	  { STORE_INSERT, COL_SERVERS, long_id, 0, good },
		{ STORE_INSERT, COL_SERVERS, NULL, 0, good },	  { STORE_INSERT, COL_COUNT, "x", 0, good },
		{ STORE_INSERT, COL_SERVERS, "x", 0, no_version }, { STORE_INSERT, COL_SERVERS, "x", 0, array },
		{ STORE_INSERT, COL_SERVERS, "x", 0, NULL },	  { STORE_DELETE, COL_SERVERS, "x", 0, good },
		{ STORE_REPLACE, COL_SERVERS, "x", 1, good },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		suite_write(f->l, f->s, &bad[i], 1, &a);
		assert_int_equal(a.result, STORE_FAILED);
		assert_int_equal(a.err, -ERR_INVALID);
	}
	/* the valid write before an invalid one is not applied: the list is checked as a whole */
	struct store_op two[] = { { STORE_INSERT, COL_SERVERS, "x", 0, good }, bad[4] };
	suite_write(f->l, f->s, two, 2, &a);
	assert_int_equal(a.err, -ERR_INVALID);
	assert_int_equal(a.failed_index, 1);
	assert_int_equal(suite_version(f, "x"), 0);
	suite_write(f->l, f->s, two, 0, &a);
	assert_int_equal(a.err, -ERR_INVALID);
	suite_get(f->l, f->s, COL_SERVERS, "", &a);
	assert_int_equal(a.err, -ERR_INVALID);
	const struct store_query queries[] = {
		{ .filters = { { .path = "nothing", .cmp = STORE_EQ, .text = "x" } }, .nfilters = 1, .limit = 1 },
		{ .filters = { { .path = "tags", .cmp = STORE_EQ, .text = "x" } }, .nfilters = 1, .limit = 1 },
		{ .filters = { { .path = "port", .cmp = STORE_PREFIX, .text = "x" } }, .nfilters = 1, .limit = 1 },
		{ .filters = { { .path = "port", .cmp = STORE_CONTAINS, .text = "x" } }, .nfilters = 1, .limit = 1 },
		{ .filters = { { .path = "tags", .cmp = STORE_CONTAINS, .text = "x" } }, .nfilters = 1, .limit = 1 },
		{ .filters = { { .path = "status", .cmp = STORE_EQ } }, .nfilters = 1, .limit = 1 },
		{ .filters = { { .path = "status", .cmp = STORE_IN } }, .nfilters = 1, .limit = 1 },
		{ .sort = { "id; DROP TABLE rdp_servers", false }, .limit = 1 },
		{ .sort = { "tags", false }, .limit = 1 },
		{ .limit = STORE_MAX_PAGE + 1 },
		{ .limit = 1, .nfilters = STORE_MAX_FILTERS + 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		suite_list(f->l, f->s, COL_SERVERS, &queries[i], &a);
		assert_int_equal(a.result, STORE_FAILED);
		assert_int_equal(a.err, -ERR_INVALID);
	}
	json_decref(good);
	json_decref(no_version);
	json_decref(array);
}

static void ids_and_texts_with_special_characters(void **state)
{
	struct suite_fix *f = *state;
	char ids[300][STORE_ID_MAX + 1];
	size_t n = 0;
	for (int c = 1; c < 128; c++)
		snprintf(ids[n++], sizeof ids[0], "a%cb", c);
	static const char *const more[] = { "%", "_", "*", "'", "''", "\"", "\\", "a:b:c", "A", "a", "é", "e\xcc\x81", "日本", "𝄞",
					    "../x", " a", "a ", "$where", "{\"$ne\":1}", "NULL", "0", "00", "1e3", "--", "/*" };
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		snprintf(ids[n++], sizeof ids[0], "%s", more[i]);
	memset(ids[n], 'z', STORE_ID_MAX);
	ids[n++][STORE_ID_MAX] = 0;
	for (size_t i = 0; i < n; i++) {
		json_t *doc = suite_doc(ids[i], (int64_t)i + 1);
		doc_set_str(doc, "name", ids[i]);
		json_t *tags = json_array();
		json_array_append_new(tags, json_string(ids[i]));
		doc_set(doc, "tags", tags);
		assert_int_equal(suite_put(f->l, f->s, STORE_INSERT, COL_SERVERS, ids[i], 0, doc), STORE_OK);
	}
	suite_reopen(f, &suite_usual);
	for (size_t i = 0; i < n; i++) {
		struct suite_answer a;
		struct store_query by_name = { .filters = { { .path = "name", .cmp = STORE_EQ, .text = ids[i] },
							    { .path = "tags", .cmp = STORE_HAS, .text = ids[i] } },
					       .nfilters = 2, .limit = 10 };
		assert_int_equal(suite_version(f, ids[i]), (int64_t)i + 1);
		suite_list(f->l, f->s, COL_SERVERS, &by_name, &a);
		assert_int_equal(a.n, 1);
		assert_string_equal(a.ids[0], ids[i]);
		by_name.filters[0].cmp = STORE_PREFIX;
		suite_list(f->l, f->s, COL_SERVERS, &by_name, &a);
		assert_int_equal(a.n, 1);
		by_name.filters[0].cmp = STORE_CONTAINS;
		suite_list(f->l, f->s, COL_SERVERS, &by_name, &a);
		assert_int_equal(a.n, 1);
	}
}

static void documents_are_returned_unchanged(void **state)
{
	struct suite_fix *f = *state;
	json_t *doc = json_pack("{s:i,s:s,s:{s:[i,f,b,n],s:s},s:I}", "version", 3, "k", "x", "deep", "list", -1, 0.1, 1, "text",
				"tab\t \"quotes\" \\ \xf0\x9d\x84\x9e\n", "big", (json_int_t)INT64_MAX);
	assert_int_equal(suite_put(f->l, f->s, STORE_INSERT, COL_NODES, "n", 0, json_incref(doc)), STORE_OK);
	suite_reopen(f, &suite_usual);
	struct suite_answer a;
	suite_get(f->l, f->s, COL_NODES, "n", &a);
	assert_int_equal(a.result, STORE_OK);
	assert_int_equal(a.version, 3);
	json_t *back = doc_parse(a.text, strlen(a.text), NULL, 0);
	assert_true(json_equal(doc, back));
	json_decref(doc);
	json_decref(back);
	free(a.text);
}

static void big_documents(void **state)
{
	struct suite_fix *f = *state;
	size_t n = 4u << 20;
	char *text = xmalloc(n + 1);
	memset(text, 'b', n);
	text[n] = 0;
	json_t *doc = suite_doc("big", 1);
	doc_set_str(doc, "text", text);
	assert_int_equal(suite_put(f->l, f->s, STORE_INSERT, COL_SERVERS, "big", 0, json_incref(doc)), STORE_OK);
	struct suite_answer a;
	suite_get(f->l, f->s, COL_SERVERS, "big", &a);
	assert_int_equal(a.result, STORE_OK);
	assert_true(strlen(a.text) > n);
	free(a.text);
	json_t *parts = json_array();
	for (int i = 0; i < 3; i++)
		json_array_append_new(parts, json_string(text));
	doc_set(doc, "parts", parts);
	struct store_op op = { STORE_PUT, COL_SERVERS, "big", 0, doc };
	suite_write(f->l, f->s, &op, 1, &a);
	assert_int_equal(a.result, STORE_FAILED);
	assert_int_equal(a.err, -ERR_TOO_LARGE);
	assert_int_equal(suite_version(f, "big"), 1);
	json_decref(doc);
	free(text);
}

/* --- lists of writes */

static void lists_are_applied_in_order_up_to_the_first_failure(void **state)
{
	struct suite_fix *f = *state;
	struct suite_answer a;
	json_t *one = suite_doc("one", 1), *two = suite_doc("two", 2), *three = suite_doc("three", 3);
	struct store_op good[] = {
		{ STORE_INSERT, COL_SERVERS, "a", 0, one },  { STORE_REPLACE, COL_SERVERS, "a", 1, two },
		{ STORE_INSERT, COL_PORTS, "n:1", 0, one },  { STORE_PUT, COL_SERVERS, "a", 0, three },
		{ STORE_DELETE, COL_PORTS, "n:1", 1, NULL },
	};
	suite_write(f->l, f->s, good, ARRAY_LEN(good), &a);
	assert_int_equal(a.result, STORE_OK);
	assert_int_equal(suite_version(f, "a"), 3);
	suite_get(f->l, f->s, COL_PORTS, "n:1", &a);
	assert_int_equal(a.result, STORE_MISSING);

	struct store_op bad[] = {
		{ STORE_INSERT, COL_NAMES, "u:x", 0, one },   { STORE_DELETE, COL_SERVERS, "a", 3, NULL },
		{ STORE_REPLACE, COL_SERVERS, "b", 0, two },  { STORE_INSERT, COL_SERVERS, "after", 0, one },
	};
	suite_write(f->l, f->s, bad, ARRAY_LEN(bad), &a);
	assert_int_equal(a.result, STORE_MISSING);
	assert_int_equal(a.failed_index, 2);
	assert_int_equal(suite_version(f, "after"), 0);
	if (factory->atomic) {
		assert_int_equal(suite_version(f, "a"), 3);
		suite_get(f->l, f->s, COL_NAMES, "u:x", &a);
		assert_int_equal(a.result, STORE_MISSING);
	}
	json_decref(one);
	json_decref(two);
	json_decref(three);
}

static void writes_are_applied_in_order(void **state)
{
	struct suite_fix *f = *state;
	struct suite_answer *a = xcalloc(200, sizeof *a);
	for (int i = 0; i < 200; i++) {
		json_t *doc = i % 2 ? NULL : suite_doc("x", i + 1);
		struct store_op op = { i % 2 ? STORE_DELETE : STORE_INSERT, COL_SERVERS, "x", i % 2 ? i : 0, doc };
		store_write(f->s, &op, 1, suite_on_write, &a[i]);
		json_decref(doc);
	}
	suite_until(f->l, &a[199].done);
	for (int i = 0; i < 200; i++) {
		assert_true(a[i].done);
		assert_int_equal(a[i].result, STORE_OK);
	}
	free(a);
	assert_int_equal(suite_version(f, "x"), 0);
}

/* --- lists */

static void add_server(struct suite_fix *f, const char *id, const char *status, const char *name, int64_t port, const char *tags)
{
	json_t *doc = suite_doc(id, 1);
	if (status)
		doc_set_str(doc, "status", status);
	doc_set_str(doc, "name", name);
	if (port)
		doc_set_int(doc, "port", port);
	if (tags)
		doc_set(doc, "tags", doc_parse(tags, strlen(tags), NULL, 0));
	doc_set_bool(doc, "auto_start", port % 2);
	assert_int_equal(suite_put(f->l, f->s, STORE_INSERT, COL_SERVERS, id, 0, doc), STORE_OK);
}

static void fill(struct suite_fix *f)
{
	add_server(f, "s1", "running", "alpha", 3001, "[\"red\",\"blue\"]");
	add_server(f, "s2", "stopped", "al%pha", 3002, "[\"blue\"]");
	add_server(f, "s3", "running", "al_pha", 3003, "[]");
	add_server(f, "s4", "failed", "Alpha", 3004, NULL);
	add_server(f, "s5", NULL, "beta", 0, "[\"re\",\"d\",5,null]");
	add_server(f, "s6", "running", "al\xc3\xa9", -5, "[\"RED\",\"a\\\"b\"]");
}

static void expect_list(struct suite_fix *f, struct store_query q, const char *ids)
{
	struct suite_answer a;
	struct strbuf got = { 0 };
	if (!q.limit)
		q.limit = 50;
	q.want_total = true;
	suite_list(f->l, f->s, COL_SERVERS, &q, &a);
	assert_int_equal(a.result, STORE_OK);
	for (size_t i = 0; i < a.n; i++)
		strbuf_printf(&got, "%s%s", i ? " " : "", a.ids[i]);
	assert_string_equal(got.s ? got.s : "", ids);
	if (!q.offset && a.n < q.limit)
		assert_int_equal(a.total, a.n);
	strbuf_done(&got);
}

#define WITH(...) (struct store_query){ .filters = { { __VA_ARGS__ } }, .nfilters = 1 }
static const char *const two_states[] = { "failed", "stopped", NULL }, *const none[] = { NULL };

static void filters(void **state)
{
	struct suite_fix *f = *state;
	fill(f);
	expect_list(f, (struct store_query){ .nfilters = 0 }, "s1 s2 s3 s4 s5 s6");
	expect_list(f, WITH(.path = "status", .cmp = STORE_EQ, .text = "running"), "s1 s3 s6");
	expect_list(f, WITH(.path = "status", .cmp = STORE_NE, .text = "running"), "s2 s4 s5");
	expect_list(f, WITH(.path = "status", .cmp = STORE_IN, .list = two_states), "s2 s4");
	expect_list(f, WITH(.path = "status", .cmp = STORE_IN, .list = none), "");
	expect_list(f, WITH(.path = "status", .cmp = STORE_GE, .text = "running"), "s1 s2 s3 s6");
	expect_list(f, WITH(.path = "status", .cmp = STORE_LT, .text = "running"), "s4");
	expect_list(f, WITH(.path = "name", .cmp = STORE_PREFIX, .text = "al"), "s1 s2 s3 s6");
	expect_list(f, WITH(.path = "name", .cmp = STORE_PREFIX, .text = "al%"), "s2");
	expect_list(f, WITH(.path = "name", .cmp = STORE_PREFIX, .text = "al_"), "s3");
	expect_list(f, WITH(.path = "name", .cmp = STORE_PREFIX, .text = "al\xc3\xa9"), "s6");
	expect_list(f, WITH(.path = "name", .cmp = STORE_PREFIX, .text = "' OR 1=1 --"), "");
	expect_list(f, WITH(.path = "status", .cmp = STORE_PREFIX, .text = ""), "s1 s2 s3 s4 s6");
	/* anywhere in the text, in any case, and no character is special */
	add_server(f, "s7", "failed", "M\xc3\xbcller's (a+)+$ .*\\Q \xd0\x96 \xf0\x9f\x98\x80!", 0, NULL);
	static const struct {
		const char *part, *ids;
	} parts[] = { { "PHA", "s1 s2 s3 s4" }, { "al", "s1 s2 s3 s4 s6" }, { "l%p", "s2" }, { "l_p", "s3" }, { "l.p", "" }, { "AL\xc3\x89", "s6" },
		      { "m\xc3\x9cLLER", "s7" }, { "(A+)+$", "s7" }, { ".*\\q", "s7" }, { "\xd0\xb6", "s7" }, { "\xf0\x9f\x98\x80!", "s7" }, { "\xf0\x9f\x98\x81", "" }, { "' OR 1=1 --", "" }, { "(a|b)", "" },
		      { "^a", "" }, { "a$", "" }, { "(?i)alpha", "" }, { "[a-z]", "" }, { "", "s1 s2 s3 s4 s5 s6 s7" } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		expect_list(f, WITH(.path = "name", .cmp = STORE_CONTAINS, .text = parts[i].part), parts[i].ids);
	assert_int_equal(PUT(STORE_DELETE, "s7", 0, 0), STORE_OK);
	expect_list(f, WITH(.path = "port", .cmp = STORE_EQ, .number = 3002), "s2");
	expect_list(f, WITH(.path = "port", .cmp = STORE_NE, .number = 3002), "s1 s3 s4 s5 s6");
	expect_list(f, WITH(.path = "port", .cmp = STORE_GE, .number = 3003), "s3 s4");
	expect_list(f, WITH(.path = "port", .cmp = STORE_LT, .number = 3002), "s1 s6");
	expect_list(f, WITH(.path = "auto_start", .cmp = STORE_EQ, .number = 1), "s1 s3 s6");
	expect_list(f, WITH(.path = "tags", .cmp = STORE_HAS, .text = "red"), "s1");
	expect_list(f, WITH(.path = "tags", .cmp = STORE_HAS, .text = "blue"), "s1 s2");
	expect_list(f, WITH(.path = "tags", .cmp = STORE_HAS, .text = "re"), "s5");
	expect_list(f, WITH(.path = "tags", .cmp = STORE_HAS, .text = "a\"b"), "s6");
	expect_list(f, WITH(.path = "tags", .cmp = STORE_HAS, .text = "5"), "");
	struct store_query both = { .filters = { { .path = "status", .cmp = STORE_EQ, .text = "running" },
						 { .path = "name", .cmp = STORE_PREFIX, .text = "al" },
						 { .path = "port", .cmp = STORE_GE, .number = 0 },
						 { .path = "tags", .cmp = STORE_HAS, .text = "blue" } },
				    .nfilters = 4 };
	expect_list(f, both, "s1");
	/* a replaced document is found by its new values only, a deleted one not at all */
	json_t *doc = suite_doc("s1", 2);
	doc_set_str(doc, "status", "stopped");
	doc_set(doc, "tags", json_pack("[s]", "green"));
	assert_int_equal(suite_put(f->l, f->s, STORE_REPLACE, COL_SERVERS, "s1", 1, doc), STORE_OK);
	assert_int_equal(PUT(STORE_DELETE, "s2", 0, 0), STORE_OK);
	expect_list(f, WITH(.path = "status", .cmp = STORE_EQ, .text = "stopped"), "s1");
	expect_list(f, WITH(.path = "tags", .cmp = STORE_HAS, .text = "blue"), "");
	expect_list(f, WITH(.path = "tags", .cmp = STORE_HAS, .text = "green"), "s1");
	expect_list(f, WITH(.path = "port", .cmp = STORE_LT, .number = 9999), "s3 s4 s6");
}

static void sorting_and_paging(void **state)
{
	struct suite_fix *f = *state;
	struct suite_answer a;
	fill(f);
	expect_list(f, (struct store_query){ .sort = { "id", true } }, "s6 s5 s4 s3 s2 s1");
	expect_list(f, (struct store_query){ .sort = { "port", false } }, "s5 s6 s1 s2 s3 s4");
	expect_list(f, (struct store_query){ .sort = { "port", true } }, "s4 s3 s2 s1 s6 s5");
	expect_list(f, (struct store_query){ .sort = { "name", false } }, "s4 s2 s3 s1 s6 s5");
	/* ties are ordered by id, in both directions */
	expect_list(f, (struct store_query){ .sort = { "status", false } }, "s5 s4 s1 s3 s6 s2");
	expect_list(f, (struct store_query){ .sort = { "status", true } }, "s2 s1 s3 s6 s4 s5");
	expect_list(f, (struct store_query){ .sort = { "status", true }, .offset = 1, .limit = 3 }, "s1 s3 s6");
	expect_list(f, (struct store_query){ .offset = 4, .limit = 3 }, "s5 s6");
	expect_list(f, (struct store_query){ .offset = 6, .limit = 3 }, "");
	/* a list continues where a page ended, in both directions, whatever was removed in between */
	expect_list(f, WITH(.path = "id", .cmp = STORE_GE, .text = "s4"), "s4 s5 s6");
	expect_list(f, WITH(.path = "id", .cmp = STORE_LT, .text = "s4"), "s1 s2 s3");
	struct store_query rest = WITH(.path = "id", .cmp = STORE_LT, .text = "s5");
	rest.sort = (struct store_sort){ "id", true };
	rest.limit = 2;
	expect_list(f, rest, "s4 s3");
	struct store_query q = WITH(.path = "id", .cmp = STORE_EQ, .text = "s4");
	suite_list(f->l, f->s, COL_SERVERS, &q, &a);
	assert_int_equal(a.result, STORE_FAILED);
	assert_int_equal(a.err, -ERR_INVALID);
	q = (struct store_query){ .offset = 4, .limit = 1 };
	suite_list(f->l, f->s, COL_SERVERS, &q, &a);
	assert_int_equal(a.total, -1);
	assert_int_equal(a.n, 1);
	q.want_total = true;
	suite_list(f->l, f->s, COL_SERVERS, &q, &a);
	assert_int_equal(a.total, 6);
	for (q.offset = 0; q.offset < 9; q.offset++) /* on every page, including the last one and those after it */
		for (q.limit = 1; q.limit < 9; q.limit++) {
			suite_list(f->l, f->s, COL_SERVERS, &q, &a);
			assert_int_equal(a.total, 6);
			assert_int_equal(a.n, q.offset < 6 ? MIN(q.limit, 6 - q.offset) : 0);
		}
	q = WITH(.path = "status", .cmp = STORE_EQ, .text = "running");
	suite_list(f->l, f->s, COL_SERVERS, &q, &a); /* limit 0: only the total */
	assert_int_equal(a.result, STORE_OK);
	assert_int_equal(a.total, 3);
	assert_int_equal(a.n, 0);
}

static void every_collection_and_field(void **state)
{
	struct suite_fix *f = *state;
	for (int col = 0; col < COL_COUNT; col++) {
		const struct store_collection_def *def = &store_collections[col];
		json_t *doc = suite_doc("d", 1);
		for (size_t i = 0; i < def->n; i++) {
			json_t *v = def->fields[i].type == STORE_INTEGER ? json_integer(7) : json_string("v");
			const char *dot = strchr(def->fields[i].path, '.');
			if (dot) {
				json_t *in = json_object_get(doc, "metadata");
				if (!in)
					json_object_set_new(doc, "metadata", in = json_object());
				json_object_set_new(in, dot + 1, v);
			} else if (def->fields[i].type == STORE_TEXT_LIST) {
				json_object_set_new(doc, def->fields[i].path, json_pack("[o]", v));
			} else {
				json_object_set_new(doc, def->fields[i].path, v);
			}
		}
		assert_int_equal(suite_put(f->l, f->s, STORE_INSERT, col, "d", 0, json_incref(doc)), STORE_OK);
		assert_int_equal(suite_put(f->l, f->s, STORE_PUT, col, "d", 0, doc), STORE_OK);
		for (size_t i = 0; i < def->n; i++) {
			struct suite_answer a;
			enum store_field_type t = def->fields[i].type;
			struct store_query q = WITH(.path = def->fields[i].path, .text = "v", .number = 7);
			q.filters[0].cmp = t == STORE_TEXT_LIST ? STORE_HAS : STORE_EQ;
			q.sort.path = t == STORE_TEXT_LIST ? NULL : def->fields[i].path;
			q.limit = 5;
			suite_list(f->l, f->s, col, &q, &a);
			assert_int_equal(a.result, STORE_OK);
			assert_int_equal(a.n, 1);
		}
	}
}

/* --- limits and life */

static void a_full_queue_refuses_on_a_later_turn(void **state)
{
	struct suite_fix *f = *state;
	struct suite_answer *a = xcalloc(100, sizeof *a);
	suite_reopen(f, &(struct store_suite_options){ .queue_limit = 10, .timeout_ms = 30000 });
	json_t *doc = suite_doc("q", 1);
	struct store_op op = { STORE_PUT, COL_SERVERS, "q", 0, doc };
	int busy = 0;
	for (int i = 0; i < 100; i++)
		store_write(f->s, &op, 1, suite_on_write, &a[i]);
	for (int i = 0; i < 100; i++)
		assert_false(a[i].done);
	for (int i = 0; i < 100; i++) {
		suite_until(f->l, &a[i].done);
		busy += a[i].result == STORE_FAILED && a[i].err == -ERR_BUSY;
	}
	assert_int_equal(busy, 90);
	assert_int_equal(PUT(STORE_PUT, "q", 0, 2), STORE_OK);
	json_decref(doc);
	free(a);
}

static void close_answers_every_request(void **state)
{
	struct suite_fix *f = *state;
	struct suite_answer *a = xcalloc(300, sizeof *a);
	json_t *doc = suite_doc("z", 1);
	for (int i = 0; i < 300; i++) {
		char id[16];
		snprintf(id, sizeof id, "z%d", i);
		struct store_op op = { STORE_INSERT, COL_SERVERS, id, 0, doc };
		if (i % 3)
			store_write(f->s, &op, 1, suite_on_write, &a[i]);
		else
			store_get(f->s, COL_SERVERS, id, on_get, &a[i]);
	}
	suite_reopen(f, &suite_usual);
	for (int i = 0; i < 300; i++) {
		char id[16];
		assert_true(a[i].done);
		snprintf(id, sizeof id, "z%d", i);
		if (i % 3 && a[i].result == STORE_OK)
			assert_int_equal(suite_version(f, id), 1);
		free(a[i].text);
	}
	json_decref(doc);
	free(a);
}

static void healthy_once_it_answers(void **state)
{
	struct suite_fix *f = *state;
	const char *why = NULL;
	assert_int_equal(PUT(STORE_PUT, "h", 0, 1), STORE_OK);
	assert_true(store_healthy(f->s, &why));
	assert_non_null(why);
}

int store_suite_run(const struct store_factory *f)
{
	factory = f;
#define T(fn) cmocka_unit_test_setup_teardown(fn, suite_set_up, suite_tear_down)
	const struct CMUnitTest tests[] = {
		T(results_of_single_writes),
		T(bad_requests_are_refused),
		T(ids_and_texts_with_special_characters),
		T(documents_are_returned_unchanged),
		T(big_documents),
		T(lists_are_applied_in_order_up_to_the_first_failure),
		T(writes_are_applied_in_order),
		T(filters),
		T(sorting_and_paging),
		T(every_collection_and_field),
		T(a_full_queue_refuses_on_a_later_turn),
		T(close_answers_every_request),
		T(healthy_once_it_answers),
	};
	return cmocka_run_group_tests_name(f->name, tests, NULL, NULL) + store_race_suite_run();
}
