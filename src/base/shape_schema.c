#include "lucid/shape.h"

#include <stdio.h>

static json_t *field_schema(const struct shape_field *f, bool patch, bool answers);

/* Named shapes stand once, under components; a patch of one has a name of its own because nothing is required in it. */
static json_t *sub_schema(const struct shape *s, bool patch, bool answers)
{
	if (!s->name)
		return shape_schema(s, patch, answers);
	char ref[128];
	snprintf(ref, sizeof ref, "#/components/schemas/%s", s->name);
	json_t *o = json_object();
	doc_set_str(o, "$ref", ref);
	return o;
}

static void add_string(json_t *o, const struct shape_field *f)
{
	static const struct {
		const char *format, *standard;
	} known[] = { { "uuid", "uuid" }, { "time", "date-time" } };
	if (f->values) {
		json_t *list = json_array();
		for (const char *const *v = f->values; *v; v++)
			json_array_append_new(list, json_string(*v));
		if (f->flags & SH_NULLABLE)
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

static void add_type(json_t *o, const struct shape_field *f)
{
	static const char *const types[] = {
		[SH_STRING] = "string", [SH_INT] = "integer", [SH_NUMBER] = "number", [SH_BOOL] = "boolean",
		[SH_OBJECT] = "object", [SH_ARRAY] = "array", [SH_FREE] = "object",
	};
	if (f->flags & SH_NULLABLE)
		doc_set(o, "type", json_pack("[s,s]", types[f->type], "null"));
	else
		doc_set_str(o, "type", types[f->type]);
}

static json_t *field_schema(const struct shape_field *f, bool patch, bool answers)
{
	if (f->type == SH_OBJECT && !(f->flags & SH_NULLABLE))
		return sub_schema(f->sub, patch, answers);
	json_t *o = json_object();
	if (f->type == SH_OBJECT) {
		doc_set(o, "anyOf", json_pack("[o,{s:s}]", sub_schema(f->sub, patch, answers), "type", "null"));
		return o;
	}
	add_type(o, f);
	if (f->type == SH_STRING)
		add_string(o, f);
	else if (f->type == SH_INT || f->type == SH_NUMBER)
		add_bounds(o, f, "minimum", "maximum");
	else if (f->type == SH_ARRAY) {
		doc_set(o, "items", field_schema(f->item, patch, answers));
		add_bounds(o, f, "minItems", "maxItems");
	}
	if (f->otherwise && !patch)
		doc_set(o, "default", json_loads(f->otherwise, JSON_DECODE_ANY, NULL));
	if (f->help)
		doc_set_str(o, "description", f->help);
	if (f->flags & SH_READ_ONLY)
		doc_set_bool(o, "readOnly", true);
	return o;
}

json_t *shape_schema(const struct shape *s, bool patch, bool answers)
{
	json_t *o = json_object(), *props = json_object(), *required = json_array();
	doc_set_str(o, "type", "object");
	for (size_t i = 0; i < s->n; i++) {
		const struct shape_field *f = &s->fields[i];
		if (f->flags & SH_READ_ONLY && !answers)
			continue;
		doc_set(props, f->name, field_schema(f, patch, answers));
		if (f->flags & SH_REQUIRED && !patch)
			json_array_append_new(required, json_string(f->name));
	}
	doc_set(o, "properties", props);
	if (json_array_size(required))
		doc_set(o, "required", required);
	else
		json_decref(required);
	if (!answers)
		doc_set_bool(o, "additionalProperties", false);
	return o;
}
