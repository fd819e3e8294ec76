#include "roles/rdp-server-manager/servers.h"

#include <stdio.h>

/* The range, page by page: what the hints know, and for those that nobody here holds what a real bind on the host says. */

#define CHECK_MAX 64 /* ports in one question */

struct page {
	struct manager *m;
	struct place *place;
	struct call *call;
	size_t limit, offset;
	int asked, at, last; /* the host was asked up to `at` now, and is to be up to `last` */
};

static bool wanted(const struct page *w, int port)
{
	const char *status = doc_str(call_query(w->call), "status", NULL);
	return !status || str_eq(status, port_state_to_string(ports_get(w->place->ports, port)));
}

static struct map *holders_of(const struct place *p)
{
	struct map *holders = map_new(65536);
	struct map_pos pos = { 0 };
	struct server *s;
	while (map_next(p->m->servers, &pos, NULL, (void **)&s)) {
		if (s->place != p)
			continue;
		char key[8];
		snprintf(key, sizeof key, "%d", s->port & 0xffff);
		map_put(holders, key, s, NULL);
	}
	return holders;
}

static json_t *port_doc(const struct place *p, int port, const struct map *holders)
{
	char key[8];
	snprintf(key, sizeof key, "%d", port);
	const struct server *s = map_get(holders, key);
	json_t *doc = json_object();
	doc_set_int(doc, "port", port);
	doc_set_str(doc, "status", port_state_to_string(ports_get(p->ports, port)));
	doc_set_str(doc, "server_id", s ? s->id : NULL);
	return doc;
}

static void answer(struct page *w)
{
	const struct ports *p = w->place->ports;
	struct map *holders = holders_of(w->place);
	json_t *ports = json_array(), *counts = json_object();
	size_t matching = 0;
	for (int port = ports_first(p); port <= ports_last(p); port++) {
		if (!wanted(w, port))
			continue;
		if (matching >= w->offset && matching < w->offset + w->limit)
			json_array_append_new(ports, port_doc(w->place, port, holders));
		matching++;
	}
	map_free(holders, NULL);
	for (int i = PORT_AVAILABLE; i <= PORT_BLOCKED; i++)
		doc_set_int(counts, port_state_to_string((enum port_state)i), (int64_t)ports_count(p, (enum port_state)i));
	call_ok(w->call, json_pack("{s:s, s:{s:i, s:i}, s:o, s:o, s:o}", "node", w->place->name, "range", "start",
				   ports_first(p), "end", ports_last(p), "counts", counts, "ports", ports,
				   "pagination", pagination((int64_t)matching, w->limit, w->offset)));
	free(w);
}

static bool unheld(const struct place *p, int port)
{
	enum port_state s = ports_get(p->ports, port);
	return s == PORT_AVAILABLE || s == PORT_BLOCKED;
}

static void check_some(struct page *w);

static void checked(const struct reply *r, void *arg)
{
	struct page *w = arg;
	json_t *blocked = json_object_get(r->doc, "blocked"), *port;
	size_t i;
	if (r->err) { /* the agent is away: what is known must do */
		answer(w);
		return;
	}
	for (int p = w->asked; p < w->at; p++) /* a stranger may have gone */
		if (unheld(w->place, p))
			ports_set(w->place->ports, p, PORT_AVAILABLE);
	json_array_foreach(blocked, i, port)
	{
		int n = (int)json_integer_value(port);
		if (unheld(w->place, n))
			ports_set(w->place->ports, n, PORT_BLOCKED);
	}
	check_some(w);
}

static void check_some(struct page *w)
{
	json_t *ask = json_array();
	for (w->asked = w->at; w->at <= w->last && json_array_size(ask) < CHECK_MAX; w->at++)
		if (unheld(w->place, w->at))
			json_array_append_new(ask, json_integer(w->at));
	if (!json_array_size(ask)) {
		json_decref(ask);
		answer(w);
		return;
	}
	agent_call(w->m, w->place->name, w->m->agent.ports, NULL, NULL, json_pack("{s:o}", "ports", ask), w->call, checked, w);
}

/* Without a filter the page's own ports are asked for; with one that the host decides about, any may turn out to match. */
static void choose_range(struct page *w)
{
	const struct ports *p = w->place->ports;
	const char *status = doc_str(call_query(w->call), "status", NULL);
	w->at = ports_first(p);
	w->last = ports_last(p);
	if (!status) {
		w->at = (int)MIN((int64_t)w->at + (int64_t)w->offset, (int64_t)w->last + 1);
		w->last = (int)MIN((int64_t)w->at + (int64_t)w->limit - 1, (int64_t)w->last);
	} else if (!str_eq(status, "available") && !str_eq(status, "blocked")) {
		w->last = w->at - 1;
	}
}

/* The node asked about; else this host, where it is one; else any. */
static struct place *asked_place(struct manager *m, struct call *c)
{
	const char *node = doc_str(call_query(c), "node", m->env.node);
	struct map_pos pos = { 0 };
	struct place *first = NULL;
	if (doc_get(call_query(c), "node") || m->one_host || nodes_find(m->env.nodes, node))
		return place_of(m, node);
	map_next(m->places, &pos, NULL, (void **)&first);
	return first ? first : place_of(m, node);
}

static bool known(struct manager *m, struct call *c)
{
	const char *node = doc_str(call_query(c), "node", NULL);
	if (!node || nodes_find(m->env.nodes, node))
		return true;
	call_fail_details(c, ERR_INVALID,
			  json_pack("[{s:s, s:s}]", "field", "node", "message", "there is no such node; see GET /nodes"), NULL);
	return false;
}

void op_ports(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	size_t limit, offset;
	if (!manager_ready(m, c, op_ports) || !paging(c, &limit, &offset) || !known(m, c))
		return;
	struct page *w = XNEW(struct page);
	w->m = m;
	w->place = asked_place(m, c);
	w->call = c;
	w->limit = limit;
	w->offset = offset;
	choose_range(w);
	check_some(w);
}
