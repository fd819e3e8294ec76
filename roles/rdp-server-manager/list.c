#include "lucid/fanout.h"
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

/* Its stored text goes into the answer as it is, with the counts before its last brace. */
struct item {
	struct blob *text;
	char id[ID_UUID_SIZE];
	json_t *sessions; /* NULL: none */
};

struct listing {
	struct manager *m;
	struct call *call;
	struct fanout *f;
	size_t limit, offset;
	int64_t total;
	struct map *nodes; /* that were asked */
	struct map *by_id; /* items */
	size_t nitems;
	struct item items[];
};

static void listing_free(struct listing *w)
{
	for (size_t i = 0; i < w->nitems; i++) {
		blob_unref(w->items[i].text);
		json_decref(w->items[i].sessions);
	}
	map_free(w->nodes, NULL);
	map_free(w->by_id, NULL);
	free(w);
}

static void add_item(struct strbuf *b, const struct item *item)
{
	strbuf_add(b, item->text->data, item->text->len - 1);
	strbuf_puts(b, ",\"sessions\":");
	if (item->sessions) {
		_cleanup_(xfreep) char *counts = doc_text(item->sessions);
		strbuf_puts(b, counts);
	} else {
		strbuf_puts(b, "{\"active\":0,\"disconnected\":0,\"orphaned\":0}");
	}
	strbuf_putc(b, '}');
}

static void answer(void *arg)
{
	struct listing *w = arg;
	struct strbuf b = { 0 };
	_cleanup_(doc_unrefp) json_t *missed = fanout_missed(w->f);
	_cleanup_(xfreep) char *without = doc_text(missed);
	_cleanup_(doc_unrefp) json_t *page = pagination(w->total, w->limit, w->offset);
	_cleanup_(xfreep) char *pages = doc_text(page);
	strbuf_puts(&b, "{\"servers\":[");
	for (size_t i = 0; i < w->nitems; i++) {
		if (i)
			strbuf_putc(&b, ',');
		add_item(&b, &w->items[i]);
	}
	strbuf_printf(&b, "],\"unreachable\":%s,\"pagination\":%s}", without, pages);
	call_ok_blob(w->call, blob_new(b.s, b.len), NULL);
	strbuf_done(&b);
	listing_free(w);
}

/* Counts of those that have an instance; all others have none. The agent away: zero, and the answer says that they are missing. */
static void counted(const char *node, const char *param, const struct reply *r, void *arg)
{
	struct listing *w = arg;
	json_t *instance;
	size_t i;
	if (r->err)
		fanout_miss(w->f, node ? node : w->m->env.node);
	json_array_foreach(r->err ? NULL : json_object_get(r->doc, "instances"), i, instance)
	{
		struct item *item = map_get(w->by_id, doc_str(instance, "server_id", ""));
		if (item && !item->sessions)
			item->sessions = json_incref(json_object_get(instance, "sessions"));
	}
}

/* Each node that one of them may run on, once: all of a node's instances come in one answer. */
static void ask_node(struct listing *w, const char *node)
{
	if (map_get(w->nodes, node))
		return;
	map_put(w->nodes, node, w, NULL);
	if (agent_absent(w->m, node))
		fanout_miss(w->f, node);
	else
		fanout_ask(w->f, w->m->agent.list, w->m->one_host ? NULL : node, NULL, NULL, counted);
}

/* It comes first, as it was defined. */
static bool begins_with_id(const struct blob *text, char ret_id[ID_UUID_SIZE])
{
	static const char first[] = "{\"server_id\":\"";
	size_t at = sizeof first - 1;
	if (text->len < at + ID_UUID_SIZE || memcmp(text->data, first, at) != 0)
		return false;
	memcpy(ret_id, text->data + at, ID_UUID_SIZE - 1);
	ret_id[ID_UUID_SIZE - 1] = 0;
	return true;
}

/* What is known of it here saves reading the text; of another manager's new server nothing is yet. */
static void take_item(struct listing *w, struct blob *text)
{
	struct item *item = &w->items[w->nitems++];
	const struct server *s = begins_with_id(text, item->id) ? server_find(w->m, item->id) : NULL;
	_cleanup_(doc_unrefp) json_t *doc = s ? NULL : doc_parse(text->data, text->len, NULL, 0);
	if (doc)
		str_copy(item->id, sizeof item->id, doc_str(doc, "server_id", ""));
	item->text = blob_ref(text);
	map_put(w->by_id, item->id, item, NULL);
	if (s ? s->status != SERVER_STOPPED : !str_eq(doc_str(doc, "status", ""), "stopped"))
		ask_node(w, s ? s->place->name : doc_str(doc, "node", ""));
}

static void listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct listing *w = arg;
	if (result != STORE_OK) {
		store_fail(w->call, err, ERR_SERVER_LIST);
		listing_free(w);
		return;
	}
	w->total = total;
	w->f = fanout_new(w->m->env.bus, w->call, answer, w);
	for (size_t i = 0; i < n && i < w->limit; i++)
		take_item(w, docs[i]);
	fanout_go(w->f);
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
	struct listing *w = xcalloc(1, sizeof *w + limit * sizeof *w->items);
	w->nodes = map_new(PLACES_MAX);
	w->by_id = map_new(limit);
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
