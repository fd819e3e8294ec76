#include "roles/rdp-server-manager/node/nodes_api.h"

#include "lucid/nodes.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/node_alerts.h"

/* GET and PUT of nodes. The agents write the documents of their nodes; this file only changes draining and labels. */

#define RACES_MAX 8

/* The document as the API shows it: with status and number of servers, without the members that only agents need. */
static json_t *shown(struct manager *m, const json_t *doc)
{
	static const char *const inner[] = { "name", "agent", "beat", "given_labels" };
	json_t *out = json_copy((json_t *)doc);
	const char *name = doc_str(doc, "node", "");
	const struct node_info *node = nodes_find(m->env.nodes, name);
	const struct object_group *g = objects_group_find(m->objects, name);
	enum node_status status = doc_bool(doc, "draining", false) ? NODE_DRAINING : NODE_READY;
	if (node && node->status == NODE_UNREACHABLE)
		status = NODE_UNREACHABLE;
	for (size_t i = 0; i < ARRAY_LEN(inner); i++)
		json_object_del(out, inner[i]);
	doc_set_str(out, "status", node_status_to_string(status));
	doc_set_int(out, "servers", g ? (int64_t)g->objects : 0);
	doc_set(out, "alerts", node_alerts_shown(m->node_alerts, name));
	return out;
}

struct asked {
	struct manager *m;
	struct call *call;
	json_t *doc;
	unsigned tries;
};

static void nodes_listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	_cleanup_(xfreep) struct asked *w = arg;
	if (result != STORE_OK) {
		objects_fail_call(w->m->objects, w->call, err, ERR_INTERNAL);
		return;
	}
	json_t *nodes = json_array();
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (doc)
			json_array_append_new(nodes, shown(w->m, doc));
	}
	call_ok(w->call, json_pack("{s:o}", "nodes", nodes));
}

static struct asked *asked_new(struct manager *m, struct call *c)
{
	struct asked *w = XNEW(struct asked);
	w->m = m;
	w->call = c;
	return w;
}

void op_nodes(struct call *c, void *m)
{
	struct store_query q = { .sort = { "id", false }, .limit = STORE_MAX_PAGE };
	store_list(((struct manager *)m)->env.store, COL_NODES, &q, nodes_listed, asked_new(m, c));
}

static void got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct asked *w = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc) {
		call_set_version(w->call, d->version);
		call_ok(w->call, shown(w->m, doc));
	} else if (result == STORE_MISSING) {
		call_fail(w->call, ERR_NOT_FOUND, "node not found; GET /api/v1/rdp/nodes lists those that exist");
	} else {
		objects_fail_call(w->m->objects, w->call, err, ERR_INTERNAL);
	}
}

void op_node(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	store_get(m->env.store, COL_NODES, call_param(c, "node"), got, asked_new(m, c));
}

static void put_got(enum store_result result, const struct store_doc *d, int err, void *arg);

static void put_done(enum store_result result, size_t index, int err, void *arg)
{
	struct asked *w = arg;
	struct manager *m = w->m;
	if (result == STORE_STALE && !call_if_match(w->call) && ++w->tries < RACES_MAX) {
		json_decref(w->doc);
		w->doc = NULL;
		store_get(m->env.store, COL_NODES, call_param(w->call, "node"), put_got, w);
		return;
	}
	if (result == STORE_OK) {
		const char *node = call_param(w->call, "node");
		nodes_look(m->env.nodes);
		bus_publish(m->env.bus, "node.changed", node, "", json_pack("{s:s}", "node", node));
		call_set_version(w->call, doc_int(w->doc, "version", 0));
		call_ok(w->call, shown(m, w->doc));
	} else if (result == STORE_STALE) {
		call_fail(w->call, ERR_STALE, NULL);
	} else {
		objects_fail_call(w->m->objects, w->call, err, ERR_INTERNAL);
	}
	json_decref(w->doc);
	free(w);
}

static void put_got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct asked *w = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	int64_t pinned = call_if_match(w->call);
	if (!doc || (pinned && pinned != d->version)) {
		if (doc)
			call_fail(w->call, ERR_STALE, NULL);
		else if (result == STORE_MISSING)
			call_fail(w->call, ERR_NOT_FOUND, "node not found; a host appears here once its agent has registered");
		else
			objects_fail_call(w->m->objects, w->call, err, ERR_INTERNAL);
		free(w);
		return;
	}
	struct faults f = { 0 };
	_cleanup_(doc_unrefp) json_t *before = shown(w->m, doc);
	_cleanup_(doc_unrefp) json_t *body = shape_unchanged(call_op(w->call)->in, call_body(w->call), before, true, &f);
	if (faults_any(&f)) {
		call_fail_details(w->call, ERR_INVALID, faults_take(&f), NULL);
		free(w);
		return;
	}
	static const char *const members[] = { "draining", "labels" };
	w->doc = json_copy(doc);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (json_object_get(body, members[i]) && !json_is_null(json_object_get(body, members[i])))
			json_object_set(w->doc, members[i], json_object_get(body, members[i]));
	doc_set_int(w->doc, "version", d->version + 1);
	struct store_op op = { STORE_REPLACE, COL_NODES, call_param(w->call, "node"), d->version, w->doc };
	store_write(w->m->env.store, &op, 1, put_done, w);
}

void op_node_put(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	store_get(m->env.store, COL_NODES, call_param(c, "node"), put_got, asked_new(m, c));
}
