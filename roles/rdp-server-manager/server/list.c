#include "roles/rdp-server-manager/server/list.h"

#include "lucid/fanout.h"
#include "lucid/listing.h"
#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/server/server.h"
#include "roles/rdp-server-manager/server/states.h"

#define NODES_MAX 65536

/* The stored text of a server is copied into the response; the counts are inserted before its last brace. */
struct item {
	struct blob *text;
	char id[ID_UUID_SIZE];
	json_t *sessions; /* counts; NULL: all zero */
};

struct listed {
	struct manager *m;
	struct call *call;
	struct fanout *f;
	struct listing_page page;
	int64_t total;
	struct map *nodes; /* nodes that have been asked */
	struct map *by_id; /* server id → its item */
	size_t nitems;
	struct item items[];
};

static void listing_free(struct listed *w)
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

static void list_answer(void *arg)
{
	struct listed *w = arg;
	struct strbuf b = { 0 };
	_cleanup_(doc_unrefp) json_t *missed = fanout_missed(w->f);
	_cleanup_(xfreep) char *without = doc_text(missed);
	_cleanup_(doc_unrefp) json_t *pagination = listing_pagination(&w->page, w->total);
	_cleanup_(xfreep) char *pages = doc_text(pagination);
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

/* Adds the counts of servers that have an instance. If the agent does not respond, counts stay zero and the response lists the node as
 * unreachable. */
static void counted(const char *node, const char *param, const struct reply *r, void *arg)
{
	struct listed *w = arg;
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

/* Asks each node at most once; its response has all instances of the node. */
static void ask_node(struct listed *w, const char *node)
{
	if (map_get(w->nodes, node))
		return;
	map_put(w->nodes, node, w, NULL);
	if (agent_absent(w->m, node))
		fanout_miss(w->f, node);
	else
		fanout_ask(w->f, w->m->agent.list, w->m->one_host ? NULL : node, NULL, NULL, counted);
}

/* server_id is the first member, because the definition is created with it first. */
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

/* A record here makes parsing the text unnecessary. There is none yet for a new server of another manager. */
static void take_item(struct listed *w, struct blob *text)
{
	struct item *item = &w->items[w->nitems++];
	const struct server *s = begins_with_id(text, item->id) ? server_find(w->m, item->id) : NULL;
	_cleanup_(doc_unrefp) json_t *doc = s ? NULL : doc_parse(text->data, text->len, NULL, 0);
	if (doc)
		str_copy(item->id, sizeof item->id, doc_str(doc, "server_id", ""));
	item->text = blob_ref(text);
	map_put(w->by_id, item->id, item, NULL);
	if (s ? s->o.state != SERVER_STOPPED : !str_eq(doc_str(doc, "status", ""), "stopped"))
		ask_node(w, s ? server_place(s)->g.name : doc_str(doc, "node", ""));
}

static void servers_listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct listed *w = arg;
	if (result != STORE_OK) {
		objects_fail_call(w->m->objects, w->call, err, ERR_SERVER_LIST);
		listing_free(w);
		return;
	}
	w->total = total;
	w->f = fanout_new(w->m->env.bus, w->call, list_answer, w);
	for (size_t i = 0; i < n && i < w->page.limit; i++)
		take_item(w, docs[i]);
	fanout_go(w->f);
}

static const struct listing_filter filters[] = {
	{ "status" }, { "node" }, { "user_id" }, { "tag", "tags", STORE_HAS }, { "q", "name", STORE_CONTAINS }, { "port" },
};
static const struct listing servers = { filters, ARRAY_LEN(filters), "-created_at", NULL };

void op_list(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	const struct caller *caller = call_caller(c);
	struct listing_page page = listing_page(call_query(c));
	struct store_query q;
	struct listed *w = xcalloc(1, sizeof *w + page.limit * sizeof *w->items);
	w->nodes = map_new(NODES_MAX);
	w->by_id = map_new(page.limit);
	w->m = m;
	w->call = c;
	w->page = page;
	listing_query(&servers, call_query(c), &page, &q);
	if (!caller_is_admin(caller))
		listing_narrow(&q, "user_id", STORE_EQ, caller->sub);
	store_list(m->env.store, COL_SERVERS, &q, servers_listed, w);
}
