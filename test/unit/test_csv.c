/* csv: the format of fields, and a list of any length, read piece by piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "lucid/csv.h"
#include "lucid/errs.h"
#include "lucid/str.h"

static const struct csv_column columns[] = { { "name", "name" }, { "first, second", "deep.value" } };

static struct {
	struct loop *loop;
	struct source *source;
	/* the provider */
	const char *items; /* JSON; every page is this */
	int pages, asked, closed;
	bool later, breaks;
	struct csv *wanting;
	struct loop_timer *soon;
	/* the reader */
	struct strbuf got;
	size_t largest;
	int err;
	char why[64];
} t;

static void give(struct csv *c)
{
	if (t.asked++ < t.pages) {
		_cleanup_(doc_unrefp) json_t *items = doc_parse(t.items, strlen(t.items), NULL, 0);
		assert_non_null(items);
		csv_put(c, items);
	} else if (t.breaks) {
		csv_break(c, -ERR_UNAVAILABLE, "the store went");
	} else {
		csv_end(c);
	}
}

static void on_soon(void *arg)
{
	give(t.wanting);
}

static void want(struct csv *c, void *ctx)
{
	assert_ptr_equal(ctx, &t);
	t.wanting = c;
	if (t.later)
		loop_timer_set(t.soon, 0);
	else
		give(c);
}

static void on_close(void *ctx)
{
	t.closed++;
}

static void on_got(struct blob *piece, int err, const char *why, void *arg)
{
	if (!piece) {
		t.err = err;
		str_copy(t.why, sizeof t.why, why);
		source_close(TAKE_PTR(t.source));
		loop_stop(t.loop);
		return;
	}
	assert_in_range(piece->len, 1, SOURCE_PIECE);
	t.largest = MAX(t.largest, piece->len);
	strbuf_add(&t.got, piece->data, piece->len);
	source_read(t.source, on_got, NULL);
}

static void open_list(const char *items, int pages)
{
	static const struct csv_items ops = { want, on_close };
	memset(&t, 0, sizeof t);
	t.loop = loop_new();
	t.soon = loop_timer_new(t.loop, on_soon, NULL);
	t.items = items;
	t.pages = pages;
	t.source = csv_new(t.loop, columns, ARRAY_LEN(columns), &ops, &t);
}

static void close_list(void)
{
	assert_int_equal(t.closed, 1);
	strbuf_done(&t.got);
	loop_timer_free(t.soon);
	loop_free(t.loop);
}

static void read_all(void)
{
	source_read(t.source, on_got, NULL);
	loop_run(t.loop);
}

#define HEAD "name,\"first, second\"\r\n"

static void test_fields_are_quoted_if_needed(void **state)
{
	static const struct {
		const char *item, *line;
	} rows[] = {
		{ "{\"name\":\"a b\",\"deep\":{\"value\":7}}", "a b,7" },
		{ "{\"name\":null}", "," },
		{ "{\"name\":\"a,b\",\"deep\":{\"value\":-1.5}}", "\"a,b\",-1.5" },
		{ "{\"name\":\"say \\\"x\\\"\",\"deep\":{\"value\":true}}", "\"say \"\"x\"\"\",true" },
		{ "{\"name\":\"two\\nlines\",\"deep\":{\"value\":[\"a\",1]}}", "\"two\nlines\",\"[\"\"a\"\",1]\"" },
		{ "{\"name\":\"=1+1\",\"deep\":{\"value\":\"-x\"}}", "\"'=1+1\",\"'-x\"" },
		{ "{\"name\":\"@a\",\"deep\":{\"value\":\"+1\"}}", "\"'@a\",\"'+1\"" },
		{ "{\"name\":\"\\tx\",\"deep\":{\"value\":\"a=b\"}}", "\"'\tx\",a=b" },
		{ "{\"name\":\"\",\"deep\":7}", "," },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(xfreep) char *items = xasprintf("[%s]", rows[i].item);
		_cleanup_(xfreep) char *text = xasprintf(HEAD "%s\r\n", rows[i].line);
		open_list(items, 1);
		read_all();
		assert_int_equal(t.err, 0);
		assert_string_equal(t.got.s, text);
		close_list();
	}
}

static void test_empty_list_has_a_header_line(void **state)
{
	open_list("[]", 0);
	read_all();
	assert_string_equal(t.got.s, HEAD);
	close_list();
	open_list("[]", 3); /* empty pages are not the end */
	read_all();
	assert_int_equal(t.asked, 4);
	assert_string_equal(t.got.s, HEAD);
	close_list();
}

static void test_pages_are_produced_on_request(void **state)
{
	for (int later = 0; later < 2; later++) {
		open_list("[{\"name\":\"a\",\"deep\":{\"value\":1}},{\"name\":\"b\"}]", 3);
		t.later = later;
		assert_int_equal(t.asked, 0);
		read_all();
		assert_int_equal(t.asked, 4);
		assert_string_equal(t.got.s, HEAD "a,1\r\nb,\r\na,1\r\nb,\r\na,1\r\nb,\r\n");
		close_list();
	}
}

static void test_large_page_is_divided_into_pieces(void **state)
{
	struct strbuf items = { 0 }, text = { 0 };
	strbuf_putc(&items, '[');
	strbuf_puts(&text, HEAD);
	for (int i = 0; i < 20000; i++) {
		strbuf_printf(&items, "%s{\"name\":\"number %d\"}", i ? "," : "", i);
		strbuf_printf(&text, "number %d,\r\n", i);
	}
	strbuf_putc(&items, ']');
	open_list(items.s, 1);
	read_all();
	assert_int_equal(t.largest, SOURCE_PIECE);
	assert_string_equal(t.got.s, text.s);
	close_list();
	strbuf_done(&items);
	strbuf_done(&text);
}

static void test_truncated_source_is_an_error(void **state)
{
	open_list("[{\"name\":\"a\"}]", 1);
	t.breaks = true;
	read_all();
	assert_int_equal(t.err, -ERR_UNAVAILABLE);
	assert_string_equal(t.why, "the store went");
	assert_string_equal(t.got.s, HEAD "a,\r\n");
	close_list();
}

static void test_reader_that_closes_closes_the_list(void **state)
{
	open_list("[]", 1);
	source_close(TAKE_PTR(t.source));
	assert_int_equal(t.asked, 0);
	close_list();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_quoted_if_needed),
		cmocka_unit_test(test_empty_list_has_a_header_line),
		cmocka_unit_test(test_pages_are_produced_on_request),
		cmocka_unit_test(test_large_page_is_divided_into_pieces),
		cmocka_unit_test(test_truncated_source_is_an_error),
		cmocka_unit_test(test_reader_that_closes_closes_the_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
