#include "api/reference/parts.h"

#include <stdio.h>

#include "lucid/str.h"

json_t *openapi_ref(const char *kind, const char *name)
{
	char text[160];
	snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
	json_t *o = json_object();
	doc_set_str(o, "$ref", text);
	return o;
}

json_t *openapi_content(const char *type, json_t *consume_schema)
{
	json_t *media = json_object(), *o = json_object();
	doc_set(media, "schema", consume_schema);
	doc_set(o, type, media);
	return o;
}

json_t *openapi_text(void)
{
	return json_pack("{s:s}", "type", "string");
}

json_t *openapi_parameter(const char *name, const char *in, bool required, const char *help, json_t *consume_schema)
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

void openapi_set_id(json_t *o, const char *name)
{
	char id[80];
	str_copy(id, sizeof id, name);
	for (char *p = id; *p; p++)
		*p = *p == '.' ? '_' : *p;
	doc_set_str(o, "operationId", id);
}

json_t *openapi_path(json_t *paths, const char *path)
{
	json_t *item = json_object_get(paths, path);
	if (!item) {
		item = json_object();
		doc_set(paths, path, item);
	}
	return item;
}
