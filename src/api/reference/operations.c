#include "api/reference/operations.h"

#include <stdio.h>

#include "api/reference/errors.h"
#include "api/reference/parts.h"
#include "lucid/str.h"

/* --- schemas */

/* Adds named shapes, including nested ones, to the components, once each. */
static void collect_schema(json_t *schemas, const struct shape *s, enum schema_kind kind);

static void collect_field(json_t *schemas, const struct shape_field *f, enum schema_kind kind)
{
	if (kind == SCHEMA_PATCH && f->flags & SH_READ_ONLY)
		kind = SCHEMA_ANSWER;
	if (f->sub)
		collect_schema(schemas, f->sub, kind);
	if (f->item)
		collect_field(schemas, f->item, kind);
}

static void collect_schema(json_t *schemas, const struct shape *s, enum schema_kind kind)
{
	char name[SCHEMA_NAME_MAX];
	if (!s || (s->name && json_object_get(schemas, shape_schema_name(name, s, kind))))
		return;
	if (s->name)
		doc_set(schemas, name, shape_schema(s, kind));
	for (size_t i = 0; i < s->n; i++)
		collect_field(schemas, &s->fields[i], kind);
}

static json_t *top_schema(const struct shape *s, enum schema_kind kind)
{
	char name[SCHEMA_NAME_MAX];
	return s->name ? openapi_ref("schemas", shape_schema_name(name, s, kind)) : shape_schema(s, kind);
}

static enum schema_kind body_kind(const struct op *op)
{
	return op->flags & OP_PATCH_BODY ? SCHEMA_PATCH : SCHEMA_BODY;
}

/* --- operations */

static json_t *parameters_doc(const struct op *op)
{
	char names[OP_MAX_PARAMS][32];
	size_t n = op_param_names(op, names);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *schema = openapi_text();
		if (str_eq(op_param_format(names[i]), "uuid"))
			doc_set_str(schema, "format", "uuid");
		json_array_append_new(list, openapi_parameter(names[i], "path", true, NULL, schema));
	}
	_cleanup_(doc_unrefp) json_t *query = op->query ? shape_schema(op->query, SCHEMA_BODY) : NULL;
	for (size_t i = 0; op->query && i < op->query->n; i++) {
		const struct shape_field *f = &op->query->fields[i];
		json_t *schema = json_deep_copy(json_object_get(json_object_get(query, "properties"), f->name));
		if (!schema)
			continue;
		json_object_del(schema, "description");
		json_object_del(schema, "deprecated");
		json_t *p = openapi_parameter(f->name, "query", f->flags & SH_REQUIRED, f->help, schema);
		if (f->flags & SH_DEPRECATED)
			doc_set_bool(p, "deprecated", true);
		json_array_append_new(list, p);
	}
	if (op->flags & OP_IF_MATCH)
		json_array_append_new(list, openapi_parameter("If-Match", "header", false, "the ETag of the version to change", openapi_text()));
	if (op->flags & OP_CREATES)
		json_array_append_new(list, openapi_parameter("Idempotency-Key", "header", false,
						      "1 to 128 printable characters; for 24 h a request with the same key and body gets the first response again",
						      openapi_text()));
	if (op->flags & OP_READ && op->out && n)
		json_array_append_new(list, openapi_parameter("If-None-Match", "header", false, "the ETag of a response that the client has", openapi_text()));
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
	doc_set(o, "content", openapi_content(OPENAPI_JSON, top_schema(op->in, body_kind(op))));
	return o;
}

static json_t *media_schema(const char *media)
{
	return str_starts(media, "text/") ? openapi_text() : json_pack("{s:s,s:s}", "type", "string", "format", "binary");
}

static json_t *success_doc(const struct op *op, int status)
{
	json_t *o = json_object();
	bool document = op->out && status != 204;
	doc_set_str(o, "description", status == 201 ? "Created" : status == 202 ? "Started" : status == 204 ? "Completed" : "Success");
	if (document)
		doc_set(o, "content", openapi_content(OPENAPI_JSON, top_schema(op->out, SCHEMA_ANSWER)));
	if (document && op->media) /* the stream beside the document */
		doc_set(json_object_get(o, "content"), op->media, json_pack("{s:o}", "schema", media_schema(op->media)));
	else if (!document && op->media)
		doc_set(o, "content", openapi_content(op->media, media_schema(op->media)));
	return o;
}

static json_t *responses_of(const struct op *op)
{
	char key[8];
	json_t *o = json_object();
	int status = op->status ? op->status : 200;
	snprintf(key, sizeof key, "%d", status);
	doc_set(o, key, success_doc(op, status));
	if (status == 202) /* there was nothing to do, or it completed within ?wait */
		doc_set(o, "200", success_doc(op, 200));
	if (status == 204 && op->out) /* it did not complete within ?wait */
		doc_set(o, "202", success_doc(op, 202));
	if (op->flags & OP_READ && op->out && strchr(op->path, '{'))
		doc_set(o, "304", json_pack("{s:s}", "description", "Not modified: the ETag is in If-None-Match"));
	openapi_add_errors(o, op);
	return o;
}

static json_t *operation_doc(const struct op *op)
{
	static const char *const who[] = {
		[OP_PUBLIC] = "anyone", [OP_USER] = "user or admin", [OP_ADMIN] = "admin", [OP_SERVICE] = "admin or service"
	};
	json_t *o = json_object(), *params = parameters_doc(op);
	openapi_set_id(o, op->name);
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

void openapi_add_operation(json_t *paths, json_t *schemas, const struct op *op)
{
	char verb[8];
	size_t n = 0;
	for (; op->verb[n] && n + 1 < sizeof verb; n++)
		verb[n] = (char)(op->verb[n] | 0x20);
	verb[n] = 0;
	doc_set(openapi_path(paths, op->path), verb, operation_doc(op));
	collect_schema(schemas, op->in, body_kind(op));
	collect_schema(schemas, op->out, SCHEMA_ANSWER);
}
