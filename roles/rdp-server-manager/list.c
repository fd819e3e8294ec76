#include "roles/rdp-server-manager/servers.h"

/* The list of servers, with live counts of those that run. */

bool paging(struct call *c, size_t *ret_limit, size_t *ret_offset)
{
	const json_t *q = call_query(c);
	*ret_limit = (size_t)doc_int(q, "limit", 20);
	if (json_object_get(q, "page") && json_object_get(q, "offset")) {
		call_fail_details(c, ERR_INVALID,
				  json_pack("[{s:s, s:s}]", "field", "offset", "message", "not together with page; give one of the two"),
				  NULL);
		return false;
	}
	*ret_offset = (size_t)doc_int(q, "offset", (doc_int(q, "page", 1) - 1) * (int64_t)*ret_limit);
	return true;
}

json_t *pagination(int64_t total, size_t limit, size_t offset)
{
	int64_t n = (int64_t)limit, at = (int64_t)offset;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "page", (json_int_t)(at / n + 1), "limit", (json_int_t)n,
			 "offset", (json_int_t)at, "total", (json_int_t)total, "pages", (json_int_t)((total + n - 1) / n),
			 "has_next", at + n < total, "has_previous", at > 0);
}

struct listing {
	struct manager *m;
	struct call *call;
	size_t limit, offset, asked; /* asked: answers that are owed, and the asking itself */
	int64_t total;
	json_t *servers;
	char sort[32], q[300];
};

static void answer(struct listing *w)
{
	call_ok(w->call, json_pack("{s:o, s:o}", "servers", w->servers, "pagination", pagination(w->total, w->limit, w->offset)));
	free(w);
}

/* Counts of those that have an instance; all others have none. The agent away: zero, the status says the rest. */
static void counted(const struct reply *r, void *arg)
{
	struct listing *w = arg;
	json_t *instances = r->err ? NULL : json_object_get(r->doc, "instances"), *instance, *server;
	struct map *by_id = map_new(65536);
	size_t i;
	json_array_foreach(instances, i, instance)
		map_put(by_id, doc_str(instance, "server_id", ""), json_object_get(instance, "sessions"), NULL);
	json_array_foreach(w->servers, i, server)
	{
		json_t *live = map_get(by_id, doc_str(server, "server_id", ""));
		if (live)
			json_object_set(server, "sessions", live);
	}
	map_free(by_id, NULL);
	if (--w->asked == 0)
		answer(w);
}

/* Each node that one of them may run on, once: all of a node's instances come in one answer. */
static void ask_nodes(struct listing *w)
{
	struct map *seen = map_new(PLACES_MAX);
	json_t *server;
	size_t i;
	w->asked = 1;
	json_array_foreach(w->servers, i, server)
	{
		const char *node = w->m->one_host ? w->m->env.node : doc_str(server, "node", "");
		if (str_eq(doc_str(server, "status", ""), "stopped") || map_get(seen, node))
			continue;
		map_put(seen, node, w, NULL);
		w->asked++;
		agent_call(w->m, node, w->m->agent.list, NULL, NULL, NULL, w->call, counted, w);
	}
	map_free(seen, NULL);
	if (--w->asked == 0)
		answer(w);
}

static void listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct listing *w = arg;
	if (result != STORE_OK) {
		store_fail(w->call, err, ERR_SERVER_LIST);
		free(w);
		return;
	}
	w->total = total;
	w->servers = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (!doc)
			continue;
		doc_set(doc, "sessions", json_pack("{s:i, s:i, s:i}", "active", 0, "disconnected", 0, "orphaned", 0));
		json_array_append_new(w->servers, doc);
	}
	ask_nodes(w);
}

static void filter(struct store_query *q, const char *path, enum store_cmp cmp, const char *value)
{
	if (value)
		q->filters[q->nfilters++] = (struct store_filter){ .path = path, .cmp = cmp, .text = value };
}

void op_list(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	const json_t *query = call_query(c);
	const struct caller *caller = call_caller(c);
	size_t limit, offset;
	if (!paging(c, &limit, &offset))
		return;
	struct listing *w = XNEW(struct listing);
	w->m = m;
	w->call = c;
	w->limit = limit;
	w->offset = offset;
	const char *sort = doc_str(query, "sort", "-created_at");
	struct store_query q = { .sort = { sort + (*sort == '-'), *sort == '-' }, .offset = offset, .limit = limit,
				 .want_total = true };
	filter(&q, "status", STORE_EQ, doc_str(query, "status", NULL));
	filter(&q, "node", STORE_EQ, doc_str(query, "node", NULL));
	filter(&q, "user_id", STORE_EQ, doc_str(query, "user_id", NULL));
	filter(&q, "tags", STORE_HAS, doc_str(query, "tag", NULL));
	filter(&q, "name", STORE_PREFIX, doc_str(query, "q", NULL));
	if (!caller_is_admin(caller))
		filter(&q, "user_id", STORE_EQ, caller->sub);
	store_list(m->env.store, COL_SERVERS, &q, listed, w);
}
