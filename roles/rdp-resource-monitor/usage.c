#include "lucid/clock.h"
#include "lucid/fanout.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/monitor.h"

/* GET /usage: asks each agent for the usage of its host and instances, and rdp-server-manager for names and owners. For a user that is the
 * list of the user's servers; for an admin, each server that has an instance. */

#define PAGE 100
#define PAGES_MAX 100 /* pages of a user's servers */

struct usage {
	struct monitor *m;
	struct call *call;
	struct fanout *f;
	json_t *nodes, *servers; /* as in the response, except for names and owners; servers by id */
	json_t *known;		 /* server id → definition */
	enum err refused;	 /* error of listing the user's servers, explained by `message` */
	char *message;
	int page;
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
	json_t *host = json_copy(json_object_get(r->doc, "host"));
	doc_set_str(host, "node", node);
	doc_set_int(host, "servers", (int64_t)json_array_size(list));
	json_array_append_new(w->nodes, host);
	json_array_foreach(list, i, instance)
	{
		const char *id = doc_str(instance, "server_id", "");
		json_t *server = json_copy(instance);
		doc_set_str(server, "node", node);
		json_object_set_new(w->servers, id, server);
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

/* Adds one value to its total. A value that is unknown for all servers stays null. */
static void sum(json_t *total, const json_t *part, const char *key)
{
	const json_t *v = json_object_get(part, key);
	if (json_is_integer(v))
		doc_set_int(total, key, doc_int(total, key, 0) + json_integer_value(v));
}

static void sum_up(json_t *totals, const json_t *server)
{
	static const char *const figures[] = { "cpu_usec", "memory_bytes", "tasks", "bytes_in", "bytes_out" };
	static const char *const counts[] = { "active", "disconnected", "orphaned" };
	for (size_t i = 0; i < ARRAY_LEN(figures); i++)
		sum(totals, server, figures[i]);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		sum(json_object_get(totals, "sessions"), json_object_get(server, "sessions"), counts[i]);
	doc_set_int(totals, "servers", doc_int(totals, "servers", 0) + 1);
}

static json_t *usage_doc(struct usage *w)
{
	bool admin = caller_is_admin(call_caller(w->call));
	json_t *out = json_object(), *list = json_array(), *server;
	json_t *totals = json_pack("{s:i, s:n, s:n, s:n, s:i, s:i, s:{s:i, s:i, s:i}}", "servers", 0, "cpu_usec", "memory_bytes",
				   "tasks", "bytes_in", 0, "bytes_out", 0, "sessions", "active", 0, "disconnected", 0, "orphaned", 0);
	const char *id;
	json_object_foreach(w->servers, id, server)
	{
		const json_t *known = json_object_get(w->known, id);
		if (!known && !admin)
			continue;
		doc_set_str(server, "name", doc_str(known, "name", NULL));
		doc_set_str(server, "user_id", doc_str(known, "user_id", NULL));
		sum_up(totals, server);
		json_array_append(list, server);
	}
	doc_set_time(out, "timestamp", clock_wall_ms());
	if (admin)
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
		call_ok(w->call, usage_doc(w));
	json_decref(w->nodes);
	json_decref(w->servers);
	json_decref(w->known);
	free(w->message);
	free(w);
	under_way_end(&m->under_way);
}

void op_usage(struct call *c, void *ctx)
{
	struct monitor *m = ctx;
	struct usage *w = XNEW(struct usage);
	*w = (struct usage){ .m = m, .call = c, .nodes = json_array(), .servers = json_object(), .known = json_object() };
	w->f = fanout_new(m->env.bus, c, usage_done, w);
	under_way_begin(&m->under_way);
	fanout_ask_nodes(w->f, m->env.nodes, m->env.node, NULL, m->stats, got_stats);
	if (!caller_is_admin(call_caller(c)))
		ask_page(w);
	fanout_go(w->f);
}
