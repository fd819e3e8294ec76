#include "api/input.h"

#include <strings.h>

#include "api/answer/error.h"
#include "api/request.h"
#include "lucid/str.h"

static bool query_well_formed(const char *s)
{
	while ((s = strchr(s, '%'))) {
		if (str_percent(s) <= 0)
			return false;
		s += 3;
	}
	return true;
}

int input_query(struct request *q, const struct shape *shape, json_t **ret)
{
	const char *raw = http_req_query(q->http);
	struct faults f = { 0 };
	if (!raw || !*raw)
		return 0;
	if (!query_well_formed(raw)) {
		reply_error_text(q, ERR_MALFORMED,
				 "the query has a '%' not followed by two hex digits, or an encoded NUL");
		return -ERR_MALFORMED;
	}
	json_t *doc = shape_from_query(shape, raw, &f);
	if (faults_any(&f)) {
		reply_error(q, &(struct error_page){ .err = ERR_INVALID, .details = f.list });
		faults_done(&f);
		json_decref(doc);
		return -ERR_INVALID;
	}
	*ret = doc;
	return 0;
}

/* application/json, or for a merge patch also application/merge-patch+json; no parameter except charset=utf-8 */
static bool is_json(const char *type, const struct op *op)
{
	static const char json[] = "application/json", patch[] = "application/merge-patch+json";
	if (type && !strncasecmp(type, json, sizeof json - 1))
		type += sizeof json - 1;
	else if (type && op->flags & OP_PATCH_BODY && !strncasecmp(type, patch, sizeof patch - 1))
		type += sizeof patch - 1;
	else
		return false;
	type += strspn(type, " \t");
	if (!*type)
		return true;
	if (*type != ';')
		return false;
	type += 1 + strspn(type + 1, " \t");
	return !*type || !strcasecmp(type, "charset=utf-8") || !strcasecmp(type, "charset=\"utf-8\"");
}

int input_body(struct request *q, json_t **ret)
{
	size_t len;
	char why[160], message[240] = "the body is ";
	const char *body = http_req_body(q->http, &len);
	if (!body || !len)
		return 0;
	bool again = false;
	const char *type = http_req_header(q->http, "Content-Type", &again);
	const char *coding = http_req_header(q->http, "Content-Encoding", NULL);
	if (again || !is_json(type, q->op) || (coding && strcasecmp(coding, "identity") != 0)) {
		reply_error_text(q, ERR_NOT_JSON, NULL);
		return -ERR_NOT_JSON;
	}
	*ret = doc_parse(body, len, why, sizeof why);
	if (*ret)
		return 0;
	size_t n = strlen(message);
	str_copy(message + n, sizeof message - n, why);
	reply_error_text(q, ERR_MALFORMED, str_starts(why, "it ") || str_starts(why, "something") ? why : message);
	return -ERR_MALFORMED;
}
