#include "roles/rdp-server-manager/servers.h"

#include <stdio.h>

/* The range, page by page: what the hints know, and for those that look free what a real bind on the host says. */

#define CHECK_MAX 64 /* ports in one question */

struct page {
	struct manager *m;
	struct call *call;
	json_t *doc;
	size_t at; /* of the page's ports, looked at so far */
};

static void check_some(struct page *w);

static void answer(struct page *w)
{
	json_t *counts = json_object();
	for (int i = PORT_AVAILABLE; i <= PORT_BLOCKED; i++)
		doc_set_int(counts, port_state_to_string((enum port_state)i),
			    (int64_t)ports_count(w->m->ports, (enum port_state)i));
	doc_set(w->doc, "counts", counts);
	call_ok(w->call, w->doc);
	free(w);
}

static void checked(const struct reply *r, void *arg)
{
	struct page *w = arg;
	json_t *row, *blocked = r->err ? NULL : json_object_get(r->doc, "blocked"), *port;
	size_t i, j;
	if (r->err) { /* the agent is away: what is known must do */
		answer(w);
		return;
	}
	json_array_foreach(blocked, j, port)
	{
		int n = (int)json_integer_value(port);
		if (ports_get(w->m->ports, n) == PORT_AVAILABLE)
			ports_set(w->m->ports, n, PORT_BLOCKED);
	}
	json_array_foreach(json_object_get(w->doc, "ports"), i, row)
		doc_set_str(row, "status", port_state_to_string(ports_get(w->m->ports, (int)doc_int(row, "port", 0))));
	check_some(w);
}

static void check_some(struct page *w)
{
	json_t *rows = json_object_get(w->doc, "ports"), *ask = json_array();
	for (; w->at < json_array_size(rows) && json_array_size(ask) < CHECK_MAX; w->at++) {
		json_t *row = json_array_get(rows, w->at);
		if (str_eq(doc_str(row, "status", ""), port_state_to_string(PORT_AVAILABLE)))
			json_array_append(ask, json_object_get(row, "port"));
	}
	if (!json_array_size(ask)) {
		json_decref(ask);
		answer(w);
		return;
	}
	agent_call(w->m, w->m->agent.ports, NULL, NULL, json_pack("{s:o}", "ports", ask), w->call, checked, w);
}

static json_t *port_doc(struct manager *m, int port, enum port_state state, const struct map *holders)
{
	char key[8];
	snprintf(key, sizeof key, "%d", port);
	const struct server *s = map_get(holders, key);
	json_t *doc = json_object();
	doc_set_int(doc, "port", port);
	doc_set_str(doc, "status", port_state_to_string(state));
	doc_set_str(doc, "server_id", s ? s->id : NULL);
	return doc;
}

void op_ports(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	const char *wanted = doc_str(call_query(c), "status", NULL);
	size_t limit, offset, matching = 0;
	if (!manager_ready(m, c, op_ports) || !paging(c, &limit, &offset))
		return;
	struct map *holders = map_new(65536);
	struct map_pos pos = { 0 };
	struct server *s;
	while (map_next(m->servers, &pos, NULL, (void **)&s)) {
		char key[8];
		snprintf(key, sizeof key, "%d", s->port & 0xffff);
		map_put(holders, key, s, NULL);
	}
	json_t *ports = json_array();
	for (int port = ports_first(m->ports); port <= ports_last(m->ports); port++) {
		enum port_state state = ports_get(m->ports, port);
		if (wanted && !str_eq(wanted, port_state_to_string(state)))
			continue;
		if (matching >= offset && matching < offset + limit)
			json_array_append_new(ports, port_doc(m, port, state, holders));
		matching++;
	}
	map_free(holders, NULL);
	struct page *w = XNEW(struct page);
	w->m = m;
	w->call = c;
	w->doc = json_pack("{s:s, s:{s:i, s:i}, s:o, s:o}", "node", m->env.node, "range", "start", ports_first(m->ports),
			   "end", ports_last(m->ports), "ports", ports, "pagination",
			   pagination((int64_t)matching, limit, offset));
	check_some(w);
}
