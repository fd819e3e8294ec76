#include "api/reference/openapi.h"

#include "api/events/events.h"
#include "api/reference/errors.h"
#include "api/reference/operations.h"
#include "api/reference/parts.h"
#include "lucid/str.h"

static void add_pages(json_t *paths)
{
	static const struct {
		const char *path, *id, *summary, *type, *other_type;
		bool unready;
	} rows[] = {
		{ "/health", "health", "Status, version and roles of this process", OPENAPI_JSON, NULL, false },
		{ "/health/live", "health.live", "Liveness: 200 if the event loop is responsive", OPENAPI_JSON, NULL, true },
		{ "/health/ready", "health.ready", "Readiness: 200 if every required component is available", OPENAPI_JSON, NULL, true },
		{ "/metrics", "metrics", "Metrics as Prometheus text, or as OpenMetrics on request", "text/plain", "application/openmetrics-text", false },
		{ "/openapi.json", "openapi", "This document", OPENAPI_JSON, NULL, false },
		{ "/", "root", "Name, status and version of the service on this port", OPENAPI_JSON, NULL, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool json = str_eq(rows[i].type, OPENAPI_JSON);
		json_t *o = json_object(), *responses = json_object(), *ok = json_object();
		json_t *schema = json_pack("{s:s}", "type", json ? "object" : "string");
		doc_set_str(ok, "description", "Success");
		doc_set(ok, "content", openapi_content(rows[i].type, schema));
		if (rows[i].other_type)
			doc_set(json_object_get(ok, "content"), rows[i].other_type, json_pack("{s:O}", "schema", schema));
		doc_set(responses, "200", ok);
		if (rows[i].unready) {
			json_t *unready = json_deep_copy(ok);
			doc_set_str(unready, "description", "The event loop is stalled, or a required component is unavailable");
			doc_set(responses, "503", unready);
		}
		openapi_add_error(responses, 405);
		openapi_set_id(o, rows[i].id);
		doc_set(o, "tags", json_pack("[s]", "common"));
		doc_set_str(o, "summary", rows[i].summary);
		doc_set(o, "security", json_array());
		doc_set(o, "responses", responses);
		doc_set(openapi_path(paths, rows[i].path), "get", o);
	}
}

static json_t *openapi_info(const struct api_env *env)
{
	const char *description = config_str(env->config, "SERVICE_DESCRIPTION");
	const struct role *const *roles = env->roles;
	bool single = roles[0] && !roles[1];
	if (!*description)
		description = single && roles[0]->description ? roles[0]->description :
								"Control plane for Linux remote desktops served by xrdp";
	return json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "title", single ? roles[0]->service : "lucid-rdp", "version", LUCID_VERSION,
			 "description", description, "license", "name", "Apache-2.0", "identifier", "Apache-2.0");
}

/* /events, which is not in add_pages because it requires a token and has parameters and errors. */
static void add_stream(json_t *paths)
{
	static const int failures[] = { 400, 401, 403, 405, 422, 429, 503 };
	json_t *o = json_object(), *responses = json_object(), *ok = json_object(), *list = json_array();
	doc_set_str(ok, "description", "Events as they occur, until the client disconnects");
	doc_set(ok, "content", openapi_content("text/event-stream", openapi_text()));
	doc_set(responses, "200", ok);
	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		openapi_add_error(responses, failures[i]);
	for (size_t i = 0; i < events_query.n; i++)
		json_array_append_new(list, openapi_parameter(events_query.fields[i].name, "query", false, events_query.fields[i].help,
						    events_query.fields[i].type == SH_BOOL ? json_pack("{s:s}", "type", "boolean") : openapi_text()));
	json_array_append_new(list, openapi_parameter("Last-Event-ID", "header", false, "id of the last event received; the stream continues after it", openapi_text()));
	doc_set_str(o, "operationId", "events");
	doc_set(o, "tags", json_pack("[s]", "common"));
	doc_set_str(o, "summary", "Stream of server-sent events; a user receives the events of its own objects, and of the sessions on its servers");
	doc_set_str(o, "x-who", "any valid token");
	doc_set(o, "parameters", list);
	doc_set(o, "responses", responses);
	doc_set(openapi_path(paths, "/events"), "get", o);
}

json_t *openapi_document(const struct api_env *env, const char *base)
{
	json_t *doc = json_object(), *paths = json_object(), *schemas = json_object(), *components = json_object();
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if ((*t)->ops[i].verb && api_env_serves(env, (*t)->ops[i].role))
				openapi_add_operation(paths, schemas, &(*t)->ops[i]);
	add_pages(paths);
	add_stream(paths);
	doc_set(schemas, "ApiError", openapi_error_schema());
	doc_set(components, "schemas", schemas);
	doc_set(components, "responses", openapi_error_responses());
	doc_set(components, "securitySchemes",
		json_pack("{s:{s:s,s:s,s:s}}", "bearer", "type", "http", "scheme", "bearer", "bearerFormat", "JWT"));
	doc_set_str(doc, "openapi", "3.1.0");
	doc_set(doc, "info", openapi_info(env));
	doc_set(doc, "servers", json_pack("[{s:s}]", "url", base));
	doc_set(doc, "security", json_pack("[{s:[]}]", "bearer"));
	doc_set(doc, "paths", paths);
	doc_set(doc, "components", components);
	return doc;
}
