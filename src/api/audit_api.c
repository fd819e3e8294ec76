/* audit_api: from requests to the audit log, and GET /api/v1/audit. */
#include "api/core.h"

#include <stdio.h>

#include "api/audit.h"
#include "lucid/clock.h"

/* --- what was asked */

/* Of what was made its id; else the parameters of the path, in their order. What is no id of ours is left out. */
static void find_object(const struct request *q, const char *location, char dst[AUDIT_OBJECT_MAX + 1])
{
	const char *params[OP_MAX_PARAMS] = { NULL };
	struct path path;
	size_t n = 0;
	dst[0] = 0;
	if (location) {
		const char *slash = strrchr(location, '/');
		str_copy(dst, AUDIT_OBJECT_MAX + 1, slash ? slash + 1 : location);
		return;
	}
	if (!q->op || !strchr(q->op->path, '{') || path_split(&path, http_req_path(q->http)))
		return;
	if (!router_find(q->listener->router, &path, params))
		router_find(q->api->router, &path, params);
	for (size_t i = 0; i < OP_MAX_PARAMS && params[i]; i++) {
		int more = snprintf(dst + n, AUDIT_OBJECT_MAX + 1 - n, "%s%s", n ? "/" : "", params[i]);
		if ((size_t)more > AUDIT_OBJECT_MAX - n) {
			dst[0] = 0;
			return;
		}
		n += (size_t)more;
	}
}

void audit_request(const struct request *q, int err, const char *location)
{
	char object[AUDIT_OBJECT_MAX + 1];
	bool reads = !q->op || q->op->flags & OP_READ;
	bool attempt = err == ERR_UNAUTHENTICATED || err == ERR_FORBIDDEN || err == ERR_RATE_LIMITED;
	if (!q->api->audit || (reads && !attempt))
		return;
	find_object(q, location, object);
	audit_note(q->api->audit, &(struct audit_fact){
					  .actor = q->caller.sub,
					  .action = q->op ? q->op->name : q->endpoint->path,
					  .object = object,
					  .from = q->caller.address,
					  .request_id = q->id,
					  .err = err,
				  });
}

void audit_refusal(struct api *a, int err, int status, const char *why, const char *peer, const char *id)
{
	char object[AUDIT_OBJECT_MAX + 1];
	if (!a->audit)
		return;
	snprintf(object, sizeof object, "%d, %s", status, why); /* a sentence of ours, of what came there is nothing in it */
	audit_note(a->audit, &(struct audit_fact){ .action = "http.refused", .object = object, .from = peer, .request_id = id, .err = err,
						   .gate = true });
}

/* --- the list */

struct listing {
	struct call *call;
	int64_t limit, offset;
};

static void on_listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	_cleanup_(xfreep) struct listing *w = arg;
	if (result != STORE_OK) {
		call_fail(w->call, err, NULL);
		return;
	}
	json_t *entries = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (!doc)
			continue;
		json_object_del(doc, "version");
		json_array_append_new(entries, doc);
	}
	json_t *pages = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "page", (json_int_t)(w->offset / w->limit + 1), "limit",
				  (json_int_t)w->limit, "offset", (json_int_t)w->offset, "total", (json_int_t)total, "pages",
				  (json_int_t)((total + w->limit - 1) / w->limit), "has_next", w->offset + w->limit < total,
				  "has_previous", w->offset > 0);
	call_ok(w->call, json_pack("{s:o, s:o}", "entries", entries, "pagination", pages));
}

static void add_filter(struct store_query *q, const char *path, enum store_cmp cmp, const char *value)
{
	if (value)
		q->filters[q->nfilters++] = (struct store_filter){ .path = path, .cmp = cmp, .text = value };
}

/* As entries have it: UTC, milliseconds. NULL when it was not asked for. */
static const char *time_of(const json_t *query, const char *name, char dst[CLOCK_ISO_SIZE])
{
	int64_t ms;
	const char *text = doc_str(query, name, NULL);
	return text && clock_from_iso(text, &ms) ? clock_iso(dst, ms) : NULL;
}

void audit_list(struct call *c, void *api)
{
	static const char *const same[] = { "actor", "action", "object", "outcome" };
	const struct api *a = api;
	const json_t *query = call_query(c);
	char from[CLOCK_ISO_SIZE], to[CLOCK_ISO_SIZE];
	int64_t limit = doc_int(query, "limit", 20);
	if (json_object_get(query, "page") && json_object_get(query, "offset")) {
		call_fail_details(c, ERR_INVALID,
				  json_pack("[{s:s, s:s}]", "field", "offset", "message", "not together with page; give one of the two"),
				  NULL);
		return;
	}
	struct listing *w = XNEW(struct listing);
	*w = (struct listing){ c, limit, doc_int(query, "offset", (doc_int(query, "page", 1) - 1) * limit) };
	/* ids are numbers in the order of writing */
	struct store_query q = { .sort = { "id", *doc_str(query, "sort", "-time") == '-' }, .limit = (size_t)limit,
				 .offset = (size_t)w->offset, .want_total = true };
	const char *since = time_of(query, "from", from);
	add_filter(&q, "time", STORE_GE, since ? since : "0"); /* what has no time is no entry */
	add_filter(&q, "time", STORE_LT, time_of(query, "to", to));
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		add_filter(&q, same[i], STORE_EQ, doc_str(query, same[i], NULL));
	store_list(a->env.store, COL_AUDIT, &q, on_listed, w);
}
