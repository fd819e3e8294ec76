#include "api/reference/errors.h"

#include <stdio.h>

#include "api/reference/parts.h"
#include "lucid/str.h"

json_t *openapi_error_schema(void)
{
	static const char text[] =
		"{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\",\"required\":["
		"\"code\",\"message\",\"service\",\"version\",\"request_id\",\"timestamp\",\"details\"],\"properties\":{"
		"\"code\":{\"type\":\"string\",\"pattern\":\"^LUCID_ERR_[0-9]{4}$\"},"
		"\"message\":{\"type\":\"string\",\"description\":\"what failed, why, and what to do\"},"
		"\"service\":{\"type\":\"string\"},\"version\":{\"type\":\"string\"},\"request_id\":{\"type\":\"string\"},"
		"\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},"
		"\"details\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"field\",\"message\"],"
		"\"properties\":{\"field\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}}}}}}";
	return doc_parse(text, sizeof text - 1, NULL, 0);
}

static const struct {
	int status;
	const char *name, *description, *header, *header_text;
} errors[] = {
	{ 400, "Malformed", "Malformed JSON, or an invalid path, query or header", NULL, NULL },
	{ 401, "Unauthenticated", "No token, or an invalid one", "WWW-Authenticate", "why the token was refused (RFC 6750)" },
	{ 403, "Forbidden", "The token does not permit this operation", NULL, NULL },
	{ 404, "NotFound", "No such object, or it belongs to another user", NULL, NULL },
	{ 405, "NoMethod", "The path does not support this method", "Allow", "the supported methods" },
	{ 409, "Conflict", "The operation conflicts with the current state of the object", NULL, NULL },
	{ 412, "Stale", "The object has another version than the one in If-Match", NULL, NULL },
	{ 413, "TooLarge", "The request body is too large", NULL, NULL },
	{ 415, "NotJson", "The request body is not application/json", NULL, NULL },
	{ 422, "Invalid", "Invalid fields; details lists all of them", NULL, NULL },
	{ 429, "Limited", "A rate limit or quota is reached", "Retry-After", "seconds after which to retry" },
	{ 500, "Internal", "Internal error", NULL, NULL },
	{ 502, "Host", "An operation on the host failed", NULL, NULL },
	{ 503, "Unavailable", "A required component is unavailable", "Retry-After", "seconds after which to retry" },
	{ 504, "Deadline", "The operation did not complete before its deadline", NULL, NULL },
};

json_t *openapi_error_responses(void)
{
	json_t *all = json_object();
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		json_t *o = json_object();
		doc_set_str(o, "description", errors[i].description);
		if (errors[i].header)
			doc_set(o, "headers", json_pack("{s:{s:s, s:{s:s}}}", errors[i].header, "description", errors[i].header_text,
							"schema", "type", "string"));
		doc_set(o, "content", openapi_content(OPENAPI_JSON, openapi_ref("schemas", "ApiError")));
		doc_set(all, errors[i].name, o);
	}
	return all;
}

void openapi_add_error(json_t *responses, int status)
{
	char key[8];
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i].status == status) {
			snprintf(key, sizeof key, "%d", status);
			doc_set(responses, key, openapi_ref("responses", errors[i].name));
		}
}

void openapi_add_errors(json_t *responses, const struct op *op)
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
		{ 409, changes || op->flags & OP_MAY_CONFLICT },
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
			openapi_add_error(responses, rows[i].status);
}
