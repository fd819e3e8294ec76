#include "lucid/shape.h"

#include <stdio.h>

#include "lucid/str.h"

static json_t *field_schema(const struct shape_field *f, enum schema_kind kind);

const char *shape_schema_name(char dst[SCHEMA_NAME_MAX], const struct shape *s, enum schema_kind kind)
{
	bool named = kind != SCHEMA_PATCH || str_ends(s->name, "Change");
	snprintf(dst, SCHEMA_NAME_MAX, "%s%s", s->name, named ? "" : "Change");
	return dst;
}

/* A named shape is defined once, under components. Its patch is a component of its own, because nothing is required in it. */
static json_t *sub_schema(const struct shape *s, enum schema_kind kind)
{
	if (!s->name)
		return shape_schema(s, kind);
	char name[SCHEMA_NAME_MAX], ref[128];
	snprintf(ref, sizeof ref, "#/components/schemas/%s", shape_schema_name(name, s, kind));
	json_t *o = json_object();
	doc_set_str(o, "$ref", ref);
	return o;
}

static void add_string(json_t *o, const struct shape_field *f, bool nullable)
{
	static const struct {
		const char *format, *standard;
	} known[] = { { "uuid", "uuid" }, { "time", "date-time" } };
	if (f->values) {
		json_t *list = json_array();
		for (const char *const *v = f->values; *v; v++)
			json_array_append_new(list, json_string(*v));
		if (nullable)
			json_array_append_new(list, json_null());
		doc_set(o, "enum", list);
		return;
	}
	if (f->min)
		doc_set_int(o, "minLength", f->min);
	if (f->max)
		doc_set_int(o, "maxLength", f->max);
	for (size_t i = 0; f->format && i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].format, f->format) == 0)
			doc_set_str(o, "format", known[i].standard);
}

static void add_bounds(json_t *o, const struct shape_field *f, const char *min, const char *max)
{
	if (f->min || f->max) {
		doc_set_int(o, min, f->min);
		doc_set_int(o, max, f->max);
	}
}

static void add_type(json_t *o, const struct shape_field *f, bool nullable)
{
	static const char *const types[] = {
		[SH_STRING] = "string", [SH_INT] = "integer", [SH_NUMBER] = "number", [SH_BOOL] = "boolean",
		[SH_OBJECT] = "object", [SH_ARRAY] = "array", [SH_FREE] = "object",
	};
	if (nullable)
		doc_set(o, "type", json_pack("[s,s]", types[f->type], "null"));
	else
		doc_set_str(o, "type", types[f->type]);
}

static json_t *field_schema(const struct shape_field *f, enum schema_kind kind)
{
	/* in a patch, a read-only member may only repeat what an answer contains; null removes any other member */
	if (kind == SCHEMA_PATCH && f->flags & SH_READ_ONLY)
		kind = SCHEMA_ANSWER;
	bool nullable = f->flags & SH_NULLABLE || (kind == SCHEMA_PATCH && f->name && !(f->flags & SH_REQUIRED));
	if (f->type == SH_OBJECT && !nullable)
		return sub_schema(f->sub, kind);
	json_t *o = json_object();
	if (f->type == SH_OBJECT) {
		doc_set(o, "anyOf", json_pack("[o,{s:s}]", sub_schema(f->sub, kind), "type", "null"));
		return o;
	}
	add_type(o, f, nullable);
	if (f->type == SH_STRING)
		add_string(o, f, nullable);
	else if (f->type == SH_INT || f->type == SH_NUMBER)
		add_bounds(o, f, "minimum", "maximum");
	else if (f->type == SH_ARRAY) {
		doc_set(o, "items", field_schema(f->item, kind));
		add_bounds(o, f, "minItems", "maxItems");
	}
	if (f->otherwise && kind != SCHEMA_PATCH)
		doc_set(o, "default", json_loads(f->otherwise, JSON_DECODE_ANY, NULL));
	if (f->help)
		doc_set_str(o, "description", f->help);
	if (f->flags & SH_READ_ONLY)
		doc_set_bool(o, "readOnly", true);
	if (f->flags & SH_SECRET) {
		doc_set_bool(o, "writeOnly", true);
		doc_set_str(o, "format", "password");
	}
	if (f->flags & SH_DEPRECATED)
		doc_set_bool(o, "deprecated", true);
	return o;
}

json_t *shape_schema(const struct shape *s, enum schema_kind kind)
{
	json_t *o = json_object(), *props = json_object(), *required = json_array();
	doc_set_str(o, "type", "object");
	for (size_t i = 0; i < s->n; i++) {
		const struct shape_field *f = &s->fields[i];
		if (f->flags & SH_READ_ONLY && kind == SCHEMA_BODY)
			continue;
		doc_set(props, f->name, field_schema(f, kind));
		if (f->flags & SH_REQUIRED && kind != SCHEMA_PATCH)
			json_array_append_new(required, json_string(f->name));
	}
	doc_set(o, "properties", props);
	if (json_array_size(required))
		doc_set(o, "required", required);
	else
		json_decref(required);
	if (kind != SCHEMA_ANSWER)
		doc_set_bool(o, "additionalProperties", false);
	return o;
}
