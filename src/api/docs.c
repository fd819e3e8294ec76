#include "api/core.h"

/*
 * /docs and /redoc: the API as a page for people, made from /openapi.json, for whoever develops against it (DEBUG=true, else
 * there is no such route). It needs nothing from elsewhere and has no script; its style is a path of its own.
 */

#define NEST_MAX 6
#define STYLE_PATH "/docs/style.css"

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--dim:#8889;--in:#8881}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;font:15px/1.5 system-ui,sans-serif;display:grid;grid-template-columns:20rem minmax(0,1fr)}\n"
    "nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;border-right:1px solid var(--line);font-size:13px}\n"
    "nav h2{font-size:13px;margin:1.2rem 0 .2rem}\n"
    "nav ul{list-style:none;margin:0;padding:0}\n"
    "nav li{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}\n"
    "main{padding:1rem 2rem 4rem;max-width:70rem}\n"
    "a{color:inherit;text-decoration-color:var(--dim)}\n"
    "section{border-top:1px solid var(--line);padding:1rem 0;scroll-margin-top:1rem}\n"
    "h1{margin:.2rem 0}\nh3{margin:0;font-size:16px;overflow-wrap:anywhere}\nh4{margin:1rem 0 .3rem;font-size:13px}\n"
    "code{font-family:ui-monospace,monospace;font-size:.93em}\n"
    ".verb{display:inline-block;min-width:4.2em;padding:0 .4em;border-radius:3px;color:#fff;background:#666;"
    "font:600 11px/1.7 ui-monospace,monospace;text-align:center;text-transform:uppercase}\n"
    ".get{background:#2166a8}.post{background:#2a7d3f}.put,.patch{background:#9a6700}.delete{background:#b3261e}\n"
    ".dim{opacity:.65}\n.need{color:#c4402f;font-size:12px}\n"
    "table{border-collapse:collapse;width:100%;font-size:14px}\n"
    "td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line)}\n"
    "th{font-size:12px;font-weight:600}\ntd:first-child{white-space:nowrap}\n"
    "td table{background:var(--in);margin:.3rem 0;padding-left:.5rem}\n"
    "@media(max-width:60rem){body{display:block}nav{position:static;height:auto;max-height:40vh;border-right:0}main{padding:1rem}}\n";

/* --- text */

static void esc(struct strbuf *b, const char *s)
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

static void tagged(struct strbuf *b, const char *before, const char *text, const char *after)
{
	strbuf_puts(b, before);
	esc(b, text);
	strbuf_puts(b, after);
}

static void value(struct strbuf *b, const json_t *v)
{
	if (json_string_length(v)) {
		tagged(b, "<code>", json_string_value(v), "</code>");
		return;
	}
	_cleanup_(xfreep) char *text = doc_text(v);
	tagged(b, "<code>", text, "</code>");
}

/* --- schemas */

static const char *last_part(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	return slash ? slash + 1 : ref;
}

static void bounds(struct strbuf *b, const json_t *schema)
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
			value(b, low);
		strbuf_puts(b, low && high ? " to " : low ? " or more" : "up to ");
		if (high)
			value(b, high);
		strbuf_puts(b, pairs[i].unit);
	}
}

static void type_name(struct strbuf *b, const json_t *type)
{
	if (!json_is_array(type)) {
		esc(b, json_is_string(type) ? json_string_value(type) : "anything");
		return;
	}
	for (size_t i = 0; i < json_array_size(type); i++) {
		strbuf_puts(b, i ? " or " : "");
		esc(b, json_string_value(json_array_get(type, i)));
	}
}

static void table_of(struct strbuf *b, const json_t *schema, unsigned depth);

/* In words, and with a table below where an object is spelt out. */
static void type_of(struct strbuf *b, const json_t *schema, unsigned depth)
{
	const char *ref = doc_str(schema, "$ref", NULL);
	if (ref) {
		tagged(b, "<a href=\"#schema-", last_part(ref), "\">");
		tagged(b, "", last_part(ref), "</a>");
		return;
	}
	const json_t *items = json_object_get(schema, "items"), *values = json_object_get(schema, "enum");
	const json_t *otherwise = json_object_get(schema, "default");
	const char *format = doc_str(schema, "format", NULL);
	type_name(b, json_object_get(schema, "type"));
	if (format)
		tagged(b, " (", format, ")");
	for (size_t i = 0; i < json_array_size(values); i++) {
		strbuf_puts(b, i ? ", " : ": ");
		value(b, json_array_get(values, i));
	}
	bounds(b, schema);
	if (items && depth < NEST_MAX) {
		strbuf_puts(b, " of ");
		type_of(b, items, depth + 1);
	}
	if (otherwise) {
		strbuf_puts(b, "; default ");
		value(b, otherwise);
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
		tagged(b, "<tr><td><code>", name, "</code>");
		if (doc_array_has(required, name))
			strbuf_puts(b, " <span class=\"need\">required</span>");
		if (doc_bool(field, "readOnly", false))
			strbuf_puts(b, " <span class=\"dim\">read only</span>");
		strbuf_puts(b, "</td><td>");
		type_of(b, field, depth);
		tagged(b, "</td><td>", doc_str(field, "description", ""), "</td></tr>");
	}
	strbuf_puts(b, "</table>");
}

/* --- operations */

static void content_of(struct strbuf *b, json_t *holder)
{
	const char *type;
	json_t *media;
	json_object_foreach(json_object_get(holder, "content"), type, media) {
		tagged(b, " <span class=\"dim\">", type, "</span> ");
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
		tagged(b, "<tr><td><code>", doc_str(p, "name", ""), "</code>");
		if (doc_bool(p, "required", false))
			strbuf_puts(b, " <span class=\"need\">required</span>");
		tagged(b, "</td><td class=\"dim\">", doc_str(p, "in", ""), "</td><td>");
		type_of(b, json_object_get(p, "schema"), 0);
		tagged(b, "</td><td>", doc_str(p, "description", ""), "</td></tr>");
	}
	strbuf_puts(b, "</table>");
}

static void responses_of(struct strbuf *b, const json_t *doc, json_t *responses)
{
	const char *status;
	json_t *r;
	strbuf_puts(b, "<h4>Answers</h4><table>");
	json_object_foreach(responses, status, r) {
		const char *ref = doc_str(r, "$ref", NULL);
		json_t *named = ref ? json_object_get(doc_get(doc, "components.responses"), last_part(ref)) : r;
		tagged(b, "<tr><td><code>", status, "</code></td><td>");
		tagged(b, "", doc_str(named, "description", ""), "</td><td>");
		content_of(b, named);
		strbuf_puts(b, "</td></tr>");
	}
	strbuf_puts(b, "</table>");
}

static void operation_of(struct strbuf *b, const json_t *doc, const char *path, const char *verb, json_t *op)
{
	json_t *body = json_object_get(op, "requestBody");
	const char *who = doc_str(op, "x-who", json_object_get(op, "security") ? "anyone" : "any valid token");
	tagged(b, "<section id=\"op-", doc_str(op, "operationId", ""), "\"><h3>");
	tagged(b, "<span class=\"verb ", verb, "\">");
	tagged(b, "", verb, "</span> ");
	tagged(b, "<code>", path, "</code></h3>");
	tagged(b, "<p>", doc_str(op, "summary", ""), ". ");
	tagged(b, "<span class=\"dim\">For ", who, ".</span></p>");
	parameters_of(b, json_object_get(op, "parameters"));
	if (body) {
		strbuf_puts(b, "<h4>Body</h4><div>");
		content_of(b, body);
		strbuf_puts(b, "</div>");
	}
	responses_of(b, doc, json_object_get(op, "responses"));
	strbuf_puts(b, "</section>\n");
}

/* Every operation of a tag: its section, or its line in the list at the side. */
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
			tagged(b, "<li><a href=\"#op-", doc_str(op, "operationId", ""), "\">");
			tagged(b, "<span class=\"verb ", verb, "\">");
			tagged(b, "", verb, "</span> ");
			tagged(b, "", doc_str(op, "summary", path), "</a></li>\n");
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

static void begin(struct strbuf *b, const json_t *doc)
{
	const json_t *info = json_object_get(doc, "info");
	tagged(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", doc_str(info, "title", ""), " API</title>");
	strbuf_puts(b, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
		       "<link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"" STYLE_PATH "\"></head><body>\n<nav>");
	tagged(b, "<strong>", doc_str(info, "title", ""), "</strong> ");
	tagged(b, "<span class=\"dim\">", doc_str(info, "version", ""), "</span>");
}

struct blob *docs_html(const json_t *doc)
{
	struct strbuf b = { .max = 8 << 20 };
	_cleanup_(doc_unrefp) json_t *tags = tags_of(doc);
	const char *name;
	json_t *schema;
	begin(&b, doc);
	for (size_t i = 0; i < json_array_size(tags); i++) {
		tagged(&b, "<h2>", json_string_value(json_array_get(tags, i)), "</h2><ul>\n");
		each_operation(&b, doc, json_string_value(json_array_get(tags, i)), true);
		strbuf_puts(&b, "</ul>");
	}
	tagged(&b, "<h2><a href=\"#schemas\">Schemas</a></h2></nav>\n<main><h1>", doc_str(doc_get(doc, "info"), "title", ""), "</h1>");
	tagged(&b, "<p>", doc_str(doc_get(doc, "info"), "description", ""), ". The same for programs: ");
	strbuf_puts(&b, "<a href=\"/openapi.json\">/openapi.json</a>. Tokens go into <code>Authorization: Bearer …</code>.</p>\n");
	for (size_t i = 0; i < json_array_size(tags); i++) {
		tagged(&b, "<h2>", json_string_value(json_array_get(tags, i)), "</h2>\n");
		each_operation(&b, doc, json_string_value(json_array_get(tags, i)), false);
	}
	strbuf_puts(&b, "<h2 id=\"schemas\">Schemas</h2>\n");
	json_object_foreach(doc_get(doc, "components.schemas"), name, schema) {
		tagged(&b, "<section id=\"schema-", name, "\">");
		tagged(&b, "<h3>", name, "</h3>");
		table_of(&b, schema, 0);
		strbuf_puts(&b, "</section>\n");
	}
	strbuf_puts(&b, "</main></body></html>\n");
	struct blob *page = blob_new(b.s, b.len);
	strbuf_done(&b);
	return page;
}

/* --- pages */

static bool shown(struct request *q)
{
	if (config_bool(q->api->env.config, "DEBUG"))
		return true;
	q->endpoint = &q->listener->unmatched;
	reply_error_text(q, ERR_NO_ROUTE, NULL);
	return false;
}

void docs_page(struct request *q)
{
	struct api *a = q->api;
	if (!shown(q))
		return;
	if (!a->docs) {
		_cleanup_(doc_unrefp) json_t *doc = openapi_document(a);
		a->docs = docs_html(doc);
	}
	reply_page(q, "text/html; charset=utf-8", "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
						  "frame-ancestors 'none'", a->docs);
}

void docs_style_page(struct request *q)
{
	if (!shown(q))
		return;
	_cleanup_(blob_unrefp) struct blob *css = blob_new(style, sizeof style - 1);
	reply_page(q, "text/css; charset=utf-8", "default-src 'none'; frame-ancestors 'none'", css);
}
