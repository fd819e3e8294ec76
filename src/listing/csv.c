#include "lucid/csv.h"

#include "lucid/str.h"

struct csv {
	struct source *source; /* this is its context */
	const struct csv_column *columns;
	size_t n;
	const struct csv_items *items;
	void *ctx;
	struct strbuf text; /* finished lines; the first `sent` bytes were handed on */
	size_t sent;
	bool wanted, over; /* wanted: the reader waits; over: there are no further items */
};

static bool is_formula(const char *s)
{
	return *s && strchr("=+-@\t\r", *s);
}

static void csv_text(struct strbuf *b, const char *s)
{
	bool formula = is_formula(s);
	if (!formula && !s[strcspn(s, "\",\r\n")]) {
		strbuf_puts(b, s);
		return;
	}
	strbuf_puts(b, formula ? "\"'" : "\"");
	for (; *s; s++) {
		if (*s == '"')
			strbuf_putc(b, '"');
		strbuf_putc(b, *s);
	}
	strbuf_putc(b, '"');
}

static void csv_field(struct strbuf *b, const json_t *value)
{
	if (json_is_string(value)) {
		csv_text(b, json_string_value(value));
	} else if (value && !json_is_null(value)) {
		_cleanup_(xfreep) char *text = doc_text(value);
		if (json_is_number(value))
			strbuf_puts(b, text); /* -1 is a number, not a formula */
		else
			csv_text(b, text);
	}
}

static void csv_line(struct csv *c, const json_t *item)
{
	for (size_t i = 0; i < c->n; i++) {
		if (i)
			strbuf_putc(&c->text, ',');
		if (item)
			csv_field(&c->text, doc_get(item, c->columns[i].path));
		else
			csv_text(&c->text, c->columns[i].name);
	}
	strbuf_puts(&c->text, "\r\n");
}

/* The reader waits: hands on a piece of the finished lines, ends the source, or asks for more items. */
static void csv_feed(struct csv *c)
{
	size_t left = c->text.len - c->sent, n = MIN(left, (size_t)SOURCE_PIECE);
	if (!n) {
		strbuf_reset(&c->text);
		c->sent = 0;
		if (c->over)
			source_end(c->source);
		else
			c->items->want(c, c->ctx);
		return;
	}
	struct blob *piece = blob_new(c->text.s + c->sent, n);
	c->sent += n;
	c->wanted = false;
	source_put(c->source, piece);
}

static void csv_want(UNUSED struct source *s, void *ctx)
{
	struct csv *c = ctx;
	c->wanted = true;
	csv_feed(c);
}

static void csv_close(void *ctx)
{
	struct csv *c = ctx;
	strbuf_done(&c->text);
	c->items->close(c->ctx);
	free(c);
}

struct source *csv_new(struct loop *l, const struct csv_column *columns, size_t n, const struct csv_items *items, void *ctx)
{
	static const struct source_ops ops = { csv_want, csv_close };
	struct csv *c = XNEW(struct csv);
	*c = (struct csv){ .columns = columns, .n = n, .items = items, .ctx = ctx };
	c->source = source_new(l, &ops, c);
	csv_line(c, NULL);
	return c->source;
}

void csv_put(struct csv *c, const json_t *items)
{
	json_t *item;
	size_t i;
	json_array_foreach((json_t *)items, i, item)
		csv_line(c, item);
	if (c->wanted)
		csv_feed(c);
}

void csv_end(struct csv *c)
{
	c->over = true;
	if (c->wanted)
		csv_feed(c);
}

void csv_break(struct csv *c, int err, const char *why)
{
	c->over = true;
	source_break(c->source, err, why);
}
