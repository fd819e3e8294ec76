#include "api/reference/docs.h"

#include "lucid/str.h"

#define NEST_MAX 6

/* --- text */

static void add_escaped(struct strbuf *b, const char *s)
{
	for (; *s; s++)
		if (*s == '<')
			strbuf_puts(b, "&lt;");
		else if (*s == '>')
			strbuf_puts(b, "&gt;");
		else if (*s == '&')
			strbuf_puts(b, "&amp;");
		else if (*s == '"')
			strbuf_puts(b, "&quot;");
		else
			strbuf_putc(b, *s);
}

static void add_tagged(struct strbuf *b, const char *before, const char *text, const char *after)
{
	strbuf_puts(b, before);
	add_escaped(b, text);
	strbuf_puts(b, after);
}

static void add_value(struct strbuf *b, const json_t *v)
{
	if (json_string_length(v)) {
		add_tagged(b, "<code>", json_string_value(v), "</code>");
		return;
	}
	_cleanup_(xfreep) char *text = doc_text(v);
	add_tagged(b, "<code>", text, "</code>");
}

/* --- schemas */

static const char *last_part(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	return slash ? slash + 1 : ref;
}

static void add_bounds(struct strbuf *b, const json_t *schema)
{
	static const struct {
		const char *low, *high, *unit;
	} pairs[] = { { "minimum", "maximum", "" }, { "minLength", "maxLength", " characters" }, { "minItems", "maxItems", " items" } };
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const json_t *low = json_object_get(schema, pairs[i].low), *high = json_object_get(schema, pairs[i].high);
		if (!low && !high)
			continue;
		strbuf_puts(b, ", ");
		if (low)
			add_value(b, low);
		strbuf_puts(b, low && high ? " to " : low ? " or more" : "up to ");
		if (high)
			add_value(b, high);
		strbuf_puts(b, pairs[i].unit);
	}
}

static void type_name(struct strbuf *b, const json_t *type)
{
	if (!json_is_array(type)) {
		add_escaped(b, json_is_string(type) ? json_string_value(type) : "anything");
		return;
	}
	for (size_t i = 0; i < json_array_size(type); i++) {
		strbuf_puts(b, i ? " or " : "");
		add_escaped(b, json_string_value(json_array_get(type, i)));
	}
}

static void table_of(struct strbuf *b, const json_t *schema, unsigned depth);

/* The type as text, followed by a table of its properties if it is an inline object. */
static void type_of(struct strbuf *b, const json_t *schema, unsigned depth)
{
	const char *ref = doc_str(schema, "$ref", NULL);
	if (ref) {
		add_tagged(b, "<a href=\"#schema-", last_part(ref), "\">");
		add_tagged(b, "", last_part(ref), "</a>");
		return;
	}
	const json_t *items = json_object_get(schema, "items"), *values = json_object_get(schema, "enum");
	const json_t *otherwise = json_object_get(schema, "default");
	const char *format = doc_str(schema, "format", NULL);
	type_name(b, json_object_get(schema, "type"));
	if (format)
		add_tagged(b, " (", format, ")");
	for (size_t i = 0; i < json_array_size(values); i++) {
		strbuf_puts(b, i ? ", " : ": ");
		add_value(b, json_array_get(values, i));
	}
	add_bounds(b, schema);
	if (items && depth < NEST_MAX) {
		strbuf_puts(b, " of ");
		type_of(b, items, depth + 1);
	}
	if (otherwise) {
		strbuf_puts(b, "; default ");
		add_value(b, otherwise);
	}
	if (depth < NEST_MAX)
		table_of(b, schema, depth + 1);
}

static void table_of(struct strbuf *b, const json_t *schema, unsigned depth)
{
	json_t *properties = json_object_get(schema, "properties"), *field;
	const json_t *required = json_object_get(schema, "required");
	const char *name;
	if (!json_object_size(properties))
		return;
	strbuf_puts(b, "<table>");
	json_object_foreach(properties, name, field) {
		add_tagged(b, "<tr><td><code>", name, "</code>");
		if (doc_array_has(required, name))
			strbuf_puts(b, " <span class=\"need\">required</span>");
		if (doc_bool(field, "readOnly", false))
			strbuf_puts(b, " <span class=\"dim\">read only</span>");
		strbuf_puts(b, "</td><td>");
		type_of(b, field, depth);
		add_tagged(b, "</td><td>", doc_str(field, "description", ""), "</td></tr>");
	}
	strbuf_puts(b, "</table>");
}

/* --- operations */

static void content_of(struct strbuf *b, json_t *holder)
{
	const char *type;
	json_t *media;
	json_object_foreach(json_object_get(holder, "content"), type, media) {
		add_tagged(b, " <span class=\"dim\">", type, "</span> ");
		type_of(b, json_object_get(media, "schema"), 0);
	}
}

static void parameters_of(struct strbuf *b, const json_t *list)
{
	if (!json_array_size(list))
		return;
	strbuf_puts(b, "<h4>Parameters</h4><table>");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		add_tagged(b, "<tr><td><code>", doc_str(p, "name", ""), "</code>");
		if (doc_bool(p, "required", false))
			strbuf_puts(b, " <span class=\"need\">required</span>");
		add_tagged(b, "</td><td class=\"dim\">", doc_str(p, "in", ""), "</td><td>");
		type_of(b, json_object_get(p, "schema"), 0);
		add_tagged(b, "</td><td>", doc_str(p, "description", ""), "</td></tr>");
	}
	strbuf_puts(b, "</table>");
}

static void responses_of(struct strbuf *b, const json_t *doc, json_t *responses)
{
	const char *status;
	json_t *r;
	strbuf_puts(b, "<h4>Responses</h4><table>");
	json_object_foreach(responses, status, r) {
		const char *ref = doc_str(r, "$ref", NULL);
		json_t *named = ref ? json_object_get(doc_get(doc, "components.responses"), last_part(ref)) : r;
		add_tagged(b, "<tr><td><code>", status, "</code></td><td>");
		add_tagged(b, "", doc_str(named, "description", ""), "</td><td>");
		content_of(b, named);
		strbuf_puts(b, "</td></tr>");
	}
	strbuf_puts(b, "</table>");
}

static void operation_of(struct strbuf *b, const json_t *doc, const char *path, const char *verb, json_t *op)
{
	json_t *body = json_object_get(op, "requestBody");
	const char *who = doc_str(op, "x-who", json_object_get(op, "security") ? "anyone" : "any valid token");
	add_tagged(b, "<section id=\"op-", doc_str(op, "operationId", ""), "\"><h3>");
	add_tagged(b, "<span class=\"verb ", verb, "\">");
	add_tagged(b, "", verb, "</span> ");
	add_tagged(b, "<code>", path, "</code></h3>");
	add_tagged(b, "<p>", doc_str(op, "summary", ""), ". ");
	add_tagged(b, "<span class=\"dim\">For ", who, ".</span></p>");
	parameters_of(b, json_object_get(op, "parameters"));
	if (body) {
		strbuf_puts(b, "<h4>Body</h4><div>");
		content_of(b, body);
		strbuf_puts(b, "</div>");
	}
	responses_of(b, doc, json_object_get(op, "responses"));
	strbuf_puts(b, "</section>\n");
}

/* All operations of a tag: their sections, or their lines in the navigation. */
static void each_operation(struct strbuf *b, const json_t *doc, const char *tag, bool in_list)
{
	const char *path, *verb;
	json_t *item, *op;
	json_object_foreach(json_object_get(doc, "paths"), path, item)
		json_object_foreach(item, verb, op) {
			if (!doc_array_has(json_object_get(op, "tags"), tag))
				continue;
			if (!in_list) {
				operation_of(b, doc, path, verb, op);
				continue;
			}
			add_tagged(b, "<li><a href=\"#op-", doc_str(op, "operationId", ""), "\">");
			add_tagged(b, "<span class=\"verb ", verb, "\">");
			add_tagged(b, "", verb, "</span> ");
			add_tagged(b, "", doc_str(op, "summary", path), "</a></li>\n");
		}
}

static json_t *tags_of(const json_t *doc)
{
	json_t *tags = json_array(), *item, *op;
	const char *path, *verb;
	json_object_foreach(json_object_get(doc, "paths"), path, item)
		json_object_foreach(item, verb, op) {
			const char *tag = json_string_value(json_array_get(json_object_get(op, "tags"), 0));
			if (tag && !doc_array_has(tags, tag))
				json_array_append_new(tags, json_string(tag));
		}
	return tags;
}

static void page_begin(struct strbuf *b, const json_t *doc, const char *prefix)
{
	const json_t *info = json_object_get(doc, "info");
	add_tagged(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", doc_str(info, "title", ""), " API</title>");
	strbuf_puts(b, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
		       "<link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\"");
	add_tagged(b, " href=\"", prefix, "/docs/style.css\"></head><body>\n<nav>");
	add_tagged(b, "<strong>", doc_str(info, "title", ""), "</strong> ");
	add_tagged(b, "<span class=\"dim\">", doc_str(info, "version", ""), "</span>");
}

struct blob *docs_html(const json_t *doc, const char *prefix)
{
	struct strbuf b = { .max = 8 << 20 };
	_cleanup_(doc_unrefp) json_t *tags = tags_of(doc);
	const char *name;
	json_t *schema;
	page_begin(&b, doc, prefix);
	for (size_t i = 0; i < json_array_size(tags); i++) {
		add_tagged(&b, "<h2>", json_string_value(json_array_get(tags, i)), "</h2><ul>\n");
		each_operation(&b, doc, json_string_value(json_array_get(tags, i)), true);
		strbuf_puts(&b, "</ul>");
	}
	add_tagged(&b, "<h2><a href=\"#schemas\">Schemas</a></h2></nav>\n<main><h1>", doc_str(doc_get(doc, "info"), "title", ""), "</h1>");
	add_tagged(&b, "<p>", doc_str(doc_get(doc, "info"), "description", ""), ". For programs: ");
	add_tagged(&b, "<a href=\"", prefix, "/openapi.json\">/openapi.json</a>. Tokens go into <code>Authorization: Bearer …</code>.</p>\n");
	for (size_t i = 0; i < json_array_size(tags); i++) {
		add_tagged(&b, "<h2>", json_string_value(json_array_get(tags, i)), "</h2>\n");
		each_operation(&b, doc, json_string_value(json_array_get(tags, i)), false);
	}
	strbuf_puts(&b, "<h2 id=\"schemas\">Schemas</h2>\n");
	json_object_foreach(doc_get(doc, "components.schemas"), name, schema) {
		add_tagged(&b, "<section id=\"schema-", name, "\">");
		add_tagged(&b, "<h3>", name, "</h3>");
		table_of(&b, schema, 0);
		strbuf_puts(&b, "</section>\n");
	}
	strbuf_puts(&b, "</main></body></html>\n");
	struct blob *page = blob_new(b.s, b.len);
	strbuf_done(&b);
	return page;
}
