#include "lucid/clock.h"
#include "lucid/fanout.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/monitor.h"
#include "roles/rdp-resource-monitor/usage_doc.h"

/* GET /usage: asks each agent for the usage of its host and instances, and rdp-server-manager for names and owners. For a user that is the
 * list of the user's servers; for an admin, each server that has an instance. */

#define PAGE 100
#define PAGES_MAX 100 /* pages of a user's servers */

struct usage {
	struct monitor *m;
	struct call *call;
	struct fanout *f;
	json_t *nodes, *servers; /* as in the response; server id → the agent's document and the node */
	json_t *known;		 /* server id → definition */
	enum err refused;	 /* error of listing the user's servers, explained by `message` */
	char *message;
	int page;
	json_t *(*answer)(struct usage *w);
};

static void ask_page(struct usage *w);

static void got_server(const char *node, const char *server_id, const struct reply *r, void *arg)
{
	struct usage *w = arg;
	if (!r->err)
		json_object_set(w->known, server_id, r->doc);
}

static void got_stats(const char *node, const char *param, const struct reply *r, void *arg)
{
	struct usage *w = arg;
	bool admin = caller_is_admin(call_caller(w->call));
	json_t *instance, *list = json_object_get(r->doc, "instances");
	size_t i;
	if (r->err) {
		fanout_miss(w->f, node);
		return;
	}
	json_array_append_new(w->nodes, usage_node(w->m->sampler, node, r->doc));
	json_array_foreach(list, i, instance)
	{
		const char *id = doc_str(instance, "server_id", "");
		json_object_set_new(w->servers, id, json_pack("{s:O, s:s}", "instance", instance, "node", node));
		if (admin)
			fanout_ask(w->f, w->m->server, NULL, id, NULL, got_server);
	}
}

static void got_page(const char *node, const char *param, const struct reply *r, void *arg)
{
	struct usage *w = arg;
	json_t *server;
	size_t i;
	if (r->err) {
		w->refused = r->err;
		w->message = xstrdup(r->message);
		return;
	}
	json_array_foreach(json_object_get(r->doc, "servers"), i, server)
		json_object_set(w->known, doc_str(server, "server_id", ""), server);
	if (doc_bool(json_object_get(r->doc, "pagination"), "has_next", false) && w->page < PAGES_MAX)
		ask_page(w);
}

static void ask_page(struct usage *w)
{
	json_t *query = json_pack("{s:s, s:i, s:i}", "sort", "created_at", "limit", PAGE, "page", ++w->page);
	fanout_ask_as_caller(w->f, w->m->servers, query, got_page);
}

/* The servers that the caller may see, as ServerUsage; totals may be NULL. */
static json_t *usage_servers(struct usage *w, json_t *totals)
{
	bool admin = caller_is_admin(call_caller(w->call));
	json_t *list = json_array(), *found;
	const char *id;
	json_object_foreach(w->servers, id, found)
	{
		const json_t *known = json_object_get(w->known, id);
		if (!known && !admin)
			continue;
		json_t *server = usage_server(w->m->sampler, doc_str(found, "node", ""), json_object_get(found, "instance"), known);
		if (totals)
			usage_add(totals, server);
		json_array_append_new(list, server);
	}
	return list;
}

static json_t *usage_doc(struct usage *w)
{
	json_t *out = json_object(), *totals = usage_totals(), *list = usage_servers(w, totals);
	doc_set_time(out, "timestamp", clock_wall_ms());
	if (caller_is_admin(call_caller(w->call)))
		json_object_set(out, "nodes", w->nodes);
	doc_set(out, "servers", list);
	doc_set(out, "totals", totals);
	doc_set(out, "unreachable", fanout_missed(w->f));
	return out;
}

static void usage_done(void *arg)
{
	struct usage *w = arg;
	struct monitor *m = w->m;
	if (w->message)
		call_fail(w->call, w->refused, "the owners of the servers could not be read: %s", w->message);
	else
		call_ok(w->call, w->answer(w));
	json_decref(w->nodes);
	json_decref(w->servers);
	json_decref(w->known);
	free(w->message);
	free(w);
	under_way_end(&m->under_way);
}

static void usage_ask(struct monitor *m, struct call *c, json_t *(*answer)(struct usage *w))
{
	struct usage *w = XNEW(struct usage);
	*w = (struct usage){ .m = m, .call = c, .nodes = json_array(), .servers = json_object(), .known = json_object(), .answer = answer };
	w->f = fanout_new(m->env.bus, c, usage_done, w);
	under_way_begin(&m->under_way);
	fanout_ask_nodes(w->f, m->env.nodes, m->env.node, NULL, m->stats, got_stats);
	if (!caller_is_admin(call_caller(c)))
		ask_page(w);
	fanout_go(w->f);
}

void op_usage(struct call *c, void *monitor)
{
	usage_ask(monitor, c, usage_doc);
}

static json_t *top_answer(struct usage *w)
{
	json_t *servers = usage_servers(w, NULL), *query = call_query(w->call), *out = json_object();
	doc_set_time(out, "timestamp", clock_wall_ms());
	usage_top(out, servers, doc_str(query, "of", ""), doc_str(query, "by", ""), (size_t)doc_int(query, "limit", 1));
	doc_set(out, "unreachable", fanout_missed(w->f));
	json_decref(servers);
	return out;
}

void op_top(struct call *c, void *monitor)
{
	usage_ask(monitor, c, top_answer);
}
