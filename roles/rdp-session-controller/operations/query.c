#include "roles/rdp-session-controller/operations/query.h"

static const struct listing_filter filters[] = {
	{ "status" }, { "user_id" }, { "server_id" }, { "node" }, { "project", "metadata.project" }, { "environment", "metadata.environment" },
};
static const struct listing sessions = { filters, ARRAY_LEN(filters), "-created_at", NULL };

void sessions_query(const json_t *query, const char *viewer, const struct listing_page *page, struct store_query *ret)
{
	listing_query(&sessions, query, page, ret);
	listing_narrow(ret, "visible_to", STORE_HAS, *viewer ? viewer : NULL);
}

const char *sessions_viewer(const struct call *c)
{
	const struct caller *caller = call_caller(c);
	return caller_is_admin(caller) ? "" : *caller->sub ? caller->sub : " "; /* no user has this name */
}

void sessions_query_live(struct call *c, struct store_query *ret)
{
	static const char *const live[] = { "created", "active", "disconnected", "orphaned", NULL };
	sessions_query(call_query(c), sessions_viewer(c), &(struct listing_page){ .limit = STORE_MAX_PAGE }, ret);
	if (!doc_str(call_query(c), "status", NULL))
		ret->filters[ret->nfilters++] = (struct store_filter){ .path = "status", .cmp = STORE_IN, .list = live };
}

json_t *sessions_outcome(const json_t *doc, const char *outcome)
{
	static const char *const same[] = { "session_id", "user_id", "server_id", "status" };
	json_t *one = json_object();
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(one, same[i], json_object_get(doc, same[i]));
	doc_set_str(one, "outcome", outcome);
	doc_set(one, "message", NULL);
	return one;
}
