#include "api/core.h"

#include <stdio.h>

/* /openapi.json, made once from the rows of the roles that live here. */

static const char json_media[] = "application/json";

static json_t *ref(const char *kind, const char *name)
{
	char text[160];
	snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
	json_t *o = json_object();
	doc_set_str(o, "$ref", text);
	return o;
}

static json_t *content(const char *type, json_t *consume_schema)
{
	json_t *media = json_object(), *o = json_object();
	doc_set(media, "schema", consume_schema);
	doc_set(o, type, media);
	return o;
}

static json_t *text_schema(void)
{
	return json_pack("{s:s}", "type", "string");
}

/* --- schemas */

/* Named shapes stand under components, once; what is inside them too. */
static void collect(json_t *schemas, const struct shape *s);

static void collect_field(json_t *schemas, const struct shape_field *f)
{
	if (f->sub)
		collect(schemas, f->sub);
	if (f->item)
		collect_field(schemas, f->item);
}

static void collect(json_t *schemas, const struct shape *s)
{
	if (!s || (s->name && json_object_get(schemas, s->name)))
		return;
	if (s->name)
		doc_set(schemas, s->name, shape_schema(s, false, true));
	for (size_t i = 0; i < s->n; i++)
		collect_field(schemas, &s->fields[i]);
}

static json_t *answer_schema(const struct shape *s)
{
	return s->name ? ref("schemas", s->name) : shape_schema(s, false, true);
}

static json_t *error_schema(void)
{
	static const char text[] =
		"{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\",\"required\":["
		"\"code\",\"message\",\"service\",\"version\",\"request_id\",\"timestamp\",\"details\"],\"properties\":{"
		"\"code\":{\"type\":\"string\",\"pattern\":\"^LUCID_ERR_[0-9]{4}$\"},"
		"\"message\":{\"type\":\"string\",\"description\":\"what to do about it\"},"
		"\"service\":{\"type\":\"string\"},\"version\":{\"type\":\"string\"},\"request_id\":{\"type\":\"string\"},"
		"\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},"
		"\"details\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"field\",\"message\"],"
		"\"properties\":{\"field\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}}}}}}";
	return doc_parse(text, sizeof text - 1, NULL, 0);
}

/* --- errors, one named response a status */

static const struct {
	int status;
	const char *name, *description, *header, *header_text;
} errors[] = {
	{ 400, "Malformed", "Malformed JSON, or a bad path, query or header", NULL, NULL },
	{ 401, "Unauthenticated", "No token, or a bad one", "WWW-Authenticate", "what was wrong with the token (RFC 6750)" },
	{ 403, "Forbidden", "Not allowed for this caller", NULL, NULL },
	{ 404, "NotFound", "No such object, or it is another's", NULL, NULL },
	{ 405, "NoMethod", "The path does not take this method", "Allow", "the methods it takes" },
	{ 409, "Conflict", "In conflict with the present state", NULL, NULL },
	{ 412, "Stale", "If-Match names another version", NULL, NULL },
	{ 413, "TooLarge", "The body is too large", NULL, NULL },
	{ 415, "NotJson", "The body is not application/json", NULL, NULL },
	{ 422, "Invalid", "Fields that do not fit, all of them in details", NULL, NULL },
	{ 429, "Limited", "A rate limit or a quota", "Retry-After", "seconds to wait" },
	{ 500, "Internal", "Something unforeseen", NULL, NULL },
	{ 502, "Host", "The host did not do as told", NULL, NULL },
	{ 503, "Unavailable", "Something this needs is away", "Retry-After", "seconds to wait" },
	{ 504, "Deadline", "It took longer than its deadline", NULL, NULL },
};

static json_t *error_responses(void)
{
	json_t *all = json_object();
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		json_t *o = json_object();
		doc_set_str(o, "description", errors[i].description);
		if (errors[i].header)
			doc_set(o, "headers", json_pack("{s:{s:s, s:{s:s}}}", errors[i].header, "description", errors[i].header_text,
							"schema", "type", "string"));
		doc_set(o, "content", content(json_media, ref("schemas", "Error")));
		doc_set(all, errors[i].name, o);
	}
	return all;
}

static void add_error(json_t *responses, int status)
{
	char key[8];
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i].status == status) {
			snprintf(key, sizeof key, "%d", status);
			doc_set(responses, key, ref("responses", errors[i].name));
		}
}

static void add_errors(json_t *responses, const struct op *op)
{
	bool params = strchr(op->path, '{'), changes = !(op->flags & OP_READ);
	const struct {
		int status;
		bool may;
	} rows[] = {
		{ 400, true },
		{ 401, op->scope != OP_PUBLIC },
		{ 403, op->scope != OP_PUBLIC },
		{ 404, params || changes },
		{ 405, true },
		{ 409, changes },
		{ 412, op->flags & OP_IF_MATCH },
		{ 413, op->in },
		{ 415, op->in },
		{ 422, params || op->query || op->in || changes },
		{ 429, op->rate != RATE_EXEMPT },
		{ 500, true },
		{ 502, changes },
		{ 503, true },
		{ 504, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].may)
			add_error(responses, rows[i].status);
}

/* --- operations */

static json_t *parameter(const char *name, const char *in, bool required, const char *help, json_t *consume_schema)
{
	json_t *o = json_object();
	doc_set_str(o, "name", name);
	doc_set_str(o, "in", in);
	if (required)
		doc_set_bool(o, "required", true);
	if (help)
		doc_set_str(o, "description", help);
	doc_set(o, "schema", consume_schema);
	return o;
}

static json_t *parameters(const struct op *op)
{
	char names[OP_MAX_PARAMS][32];
	size_t n = op_param_names(op, names);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *schema = text_schema();
		if (str_eq(op_param_format(names[i]), "uuid"))
			doc_set_str(schema, "format", "uuid");
		json_array_append_new(list, parameter(names[i], "path", true, NULL, schema));
	}
	_cleanup_(doc_unrefp) json_t *query = op->query ? shape_schema(op->query, false, false) : NULL;
	for (size_t i = 0; op->query && i < op->query->n; i++) {
		const struct shape_field *f = &op->query->fields[i];
		json_t *schema = json_deep_copy(json_object_get(json_object_get(query, "properties"), f->name));
		if (!schema)
			continue;
		json_object_del(schema, "description");
		json_array_append_new(list, parameter(f->name, "query", f->flags & SH_REQUIRED, f->help, schema));
	}
	if (op->flags & OP_IF_MATCH)
		json_array_append_new(list, parameter("If-Match", "header", false, "the ETag the change is meant for", text_schema()));
	if (op->flags & OP_CREATES)
		json_array_append_new(list, parameter("Idempotency-Key", "header", false,
						      "1 to 128 printable characters; for 24 h the same key and body get the first answer again",
						      text_schema()));
	if (op->flags & OP_READ && op->out && n)
		json_array_append_new(list, parameter("If-None-Match", "header", false, "an ETag that is known already", text_schema()));
	return list;
}

static bool needs_body(const struct op *op)
{
	for (size_t i = 0; !(op->flags & OP_PATCH_BODY) && i < op->in->n; i++)
		if (op->in->fields[i].flags & SH_REQUIRED)
			return true;
	return false;
}

static json_t *request_body(const struct op *op)
{
	json_t *o = json_object();
	if (needs_body(op))
		doc_set_bool(o, "required", true);
	doc_set(o, "content", content(json_media, shape_schema(op->in, op->flags & OP_PATCH_BODY, false)));
	return o;
}

static json_t *success(const struct op *op, int status)
{
	json_t *o = json_object();
	doc_set_str(o, "description", status == 201 ? "Created" : status == 202 ? "Begun" : status == 204 ? "Done" : "The answer");
	if (op->out)
		doc_set(o, "content", content(json_media, answer_schema(op->out)));
	else if (status != 204)
		doc_set(o, "content", content("*/*", text_schema()));
	return o;
}

static json_t *responses_of(const struct op *op)
{
	char key[8];
	json_t *o = json_object();
	int status = op->status ? op->status : 200;
	snprintf(key, sizeof key, "%d", status);
	doc_set(o, key, success(op, status));
	if (status == 202) /* there was nothing to do, or ?wait saw the end of it */
		doc_set(o, "200", success(op, 200));
	if (op->flags & OP_READ && op->out && strchr(op->path, '{'))
		doc_set(o, "304", json_pack("{s:s}", "description", "It is as If-None-Match says"));
	add_errors(o, op);
	return o;
}

static json_t *operation(const struct op *op)
{
	static const char *const who[] = {
		[OP_PUBLIC] = "anyone", [OP_USER] = "any valid token", [OP_ADMIN] = "admin", [OP_SERVICE] = "admin or service"
	};
	json_t *o = json_object(), *params = parameters(op);
	doc_set_str(o, "operationId", op->name);
	doc_set(o, "tags", json_pack("[s]", op->role));
	if (op->summary)
		doc_set_str(o, "summary", op->summary);
	doc_set_str(o, "x-who", who[op->scope]);
	if (op->scope == OP_PUBLIC)
		doc_set(o, "security", json_array());
	if (json_array_size(params))
		doc_set(o, "parameters", params);
	else
		json_decref(params);
	if (op->in)
		doc_set(o, "requestBody", request_body(op));
	doc_set(o, "responses", responses_of(op));
	return o;
}

static json_t *path_item(json_t *paths, const char *path)
{
	json_t *item = json_object_get(paths, path);
	if (!item) {
		item = json_object();
		doc_set(paths, path, item);
	}
	return item;
}

static void add_operation(json_t *paths, json_t *schemas, const struct op *op)
{
	char verb[8];
	size_t n = 0;
	for (; op->verb[n] && n + 1 < sizeof verb; n++)
		verb[n] = (char)(op->verb[n] | 0x20);
	verb[n] = 0;
	doc_set(path_item(paths, op->path), verb, operation(op));
	collect(schemas, op->in);
	collect(schemas, op->out);
}

/* --- our own pages */

static void add_pages(json_t *paths)
{
	static const struct {
		const char *path, *id, *summary, *type;
		bool unready;
	} rows[] = {
		{ "/health", "health", "That it runs", json_media, false },
		{ "/health/live", "health.live", "That the loop turns, and did not stand just now", json_media, true },
		{ "/health/ready", "health.ready", "Whether what it needs is there", json_media, true },
		{ "/metrics", "metrics", "Prometheus text, or OpenMetrics when asked for", "text/plain", false },
		{ "/openapi.json", "openapi", "This document", json_media, false },
		{ "/", "root", "Service, status and version", json_media, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool json = rows[i].type == json_media;
		json_t *o = json_object(), *responses = json_object(), *ok = json_object();
		json_t *schema = json_pack("{s:s}", "type", json ? "object" : "string");
		doc_set_str(ok, "description", "The answer");
		doc_set(ok, "content", content(rows[i].type, schema));
		doc_set(responses, "200", ok);
		if (rows[i].unready) {
			json_t *away = json_deep_copy(ok);
			doc_set_str(away, "description", "Something it cannot do without is away");
			doc_set(responses, "503", away);
		}
		add_error(responses, 405);
		doc_set_str(o, "operationId", rows[i].id);
		doc_set(o, "tags", json_pack("[s]", "common"));
		doc_set_str(o, "summary", rows[i].summary);
		doc_set(o, "security", json_array());
		doc_set(o, "responses", responses);
		doc_set(path_item(paths, rows[i].path), "get", o);
	}
}

static json_t *info(const struct api *a)
{
	const char *description = config_str(a->env.config, "SERVICE_DESCRIPTION");
	const struct role *const *roles = a->env.roles;
	bool single = roles[0] && !roles[1];
	if (!*description)
		description = single && roles[0]->description ? roles[0]->description :
								"Control plane for Linux remote desktops served by xrdp";
	return json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "title", single ? roles[0]->service : "lucid-rdp", "version", LUCID_VERSION,
			 "description", description, "license", "name", "Apache-2.0", "identifier", "Apache-2.0");
}

/* It takes a token, and can fail for it. */
static void add_stream(json_t *paths)
{
	static const int failures[] = { 400, 401, 403, 405, 422, 429, 503 };
	json_t *o = json_object(), *responses = json_object(), *ok = json_object(), *list = json_array();
	doc_set_str(ok, "description", "Events as they happen, until the client goes");
	doc_set(ok, "content", content("text/event-stream", text_schema()));
	doc_set(responses, "200", ok);
	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		add_error(responses, failures[i]);
	for (size_t i = 0; i < events_query.n; i++)
		json_array_append_new(list, parameter(events_query.fields[i].name, "query", false, events_query.fields[i].help,
						    events_query.fields[i].type == SH_BOOL ? json_pack("{s:s}", "type", "boolean") : text_schema()));
	json_array_append_new(list, parameter("Last-Event-ID", "header", false, "the id of the last event that was heard", text_schema()));
	doc_set_str(o, "operationId", "events");
	doc_set(o, "tags", json_pack("[s]", "common"));
	doc_set_str(o, "summary", "What happens, as server-sent events; a user hears of what it owns");
	doc_set_str(o, "x-who", "any valid token");
	doc_set(o, "parameters", list);
	doc_set(o, "responses", responses);
	doc_set(path_item(paths, "/events"), "get", o);
}

json_t *openapi_document(const struct api *a)
{
	json_t *doc = json_object(), *paths = json_object(), *schemas = json_object(), *components = json_object();
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if ((*t)->ops[i].verb && api_serves(a, (*t)->ops[i].role))
				add_operation(paths, schemas, &(*t)->ops[i]);
	add_pages(paths);
	add_stream(paths);
	doc_set(schemas, "Error", error_schema());
	doc_set(components, "schemas", schemas);
	doc_set(components, "responses", error_responses());
	doc_set(components, "securitySchemes",
		json_pack("{s:{s:s,s:s,s:s}}", "bearer", "type", "http", "scheme", "bearer", "bearerFormat", "JWT"));
	doc_set_str(doc, "openapi", "3.1.0");
	doc_set(doc, "info", info(a));
	doc_set(doc, "security", json_pack("[{s:[]}]", "bearer"));
	doc_set(doc, "paths", paths);
	doc_set(doc, "components", components);
	return doc;
}

void openapi_page(struct request *q)
{
	struct api *a = q->api;
	if (!a->openapi) {
		_cleanup_(doc_unrefp) json_t *doc = openapi_document(a);
		a->openapi = doc_blob(doc);
	}
	reply_blob(q, 200, json_media, a->openapi);
}
