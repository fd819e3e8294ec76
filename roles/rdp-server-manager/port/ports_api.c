#include "roles/rdp-server-manager/port/ports_api.h"

#include <stdio.h>

#include "lucid/listing.h"
#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/port/ports.h"
#include "roles/rdp-server-manager/server/server.h"

/* GET /ports: a page of the port range. States come from the hints; for ports without a holder the host checks with bind(). */

#define CHECK_MAX 64 /* ports in one call to the host */

struct listed {
	struct manager *m;
	struct place *place;
	struct call *call;
	struct listing_page page;
	int asked, at, last; /* the call in progress covers [asked, at); `last` is the end of the range to check */
};

static bool wanted(const struct listed *w, int port)
{
	const char *status = doc_str(call_query(w->call), "status", NULL);
	return !status || str_eq(status, port_state_to_string(ports_get(w->place->ports, port)));
}

static struct map *holders_of(const struct place *p)
{
	struct map *holders = map_new(65536);
	struct map_pos pos = { 0 };
	struct server *s;
	while ((s = server_next(place_manager(p), &pos))) {
		if (server_place(s) != p)
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
	doc_set_str(doc, "server_id", s ? s->o.id : NULL);
	return doc;
}

static void ports_answer(struct listed *w)
{
	const struct ports *p = w->place->ports;
	struct map *holders = holders_of(w->place);
	json_t *ports = json_array(), *counts = json_object();
	size_t matching = 0;
	for (int port = ports_first(p); port <= ports_last(p); port++) {
		if (!wanted(w, port))
			continue;
		if (matching >= w->page.offset && matching < w->page.offset + w->page.limit)
			json_array_append_new(ports, port_doc(w->place, port, holders));
		matching++;
	}
	map_free(holders, NULL);
	for (int i = PORT_AVAILABLE; i <= PORT_BLOCKED; i++)
		doc_set_int(counts, port_state_to_string((enum port_state)i), (int64_t)ports_count(p, (enum port_state)i));
	call_ok(w->call, json_pack("{s:s, s:{s:i, s:i}, s:o, s:o, s:o}", "node", w->place->g.name, "range", "start",
				   ports_first(p), "end", ports_last(p), "counts", counts, "ports", ports,
				   "pagination", listing_pagination(&w->page, (int64_t)matching)));
	free(w);
}

static bool unheld(const struct place *p, int port)
{
	enum port_state s = ports_get(p->ports, port);
	return s == PORT_AVAILABLE || s == PORT_BLOCKED;
}

static void check_some(struct listed *w);

static void checked(const struct reply *r, void *arg)
{
	struct listed *w = arg;
	json_t *blocked = json_object_get(r->doc, "blocked"), *port;
	size_t i;
	if (r->err) { /* the agent is unreachable: respond from the hints */
		ports_answer(w);
		return;
	}
	for (int p = w->asked; p < w->at; p++) /* a foreign listener may have exited */
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

static void check_some(struct listed *w)
{
	json_t *ask = json_array();
	for (w->asked = w->at; w->at <= w->last && json_array_size(ask) < CHECK_MAX; w->at++)
		if (unheld(w->place, w->at))
			json_array_append_new(ask, json_integer(w->at));
	if (!json_array_size(ask)) {
		json_decref(ask);
		ports_answer(w);
		return;
	}
	agent_call(w->m, w->place->g.name, w->m->agent.ports, NULL, NULL, json_pack("{s:o}", "ports", ask), w->call, checked, w);
}

/* Without a status filter only the ports of the page are checked. With `available` or `blocked` every port may match, so all are checked. */
static void choose_range(struct listed *w)
{
	const struct ports *p = w->place->ports;
	const char *status = doc_str(call_query(w->call), "status", NULL);
	w->at = ports_first(p);
	w->last = ports_last(p);
	if (!status) {
		w->at = (int)MIN((int64_t)w->at + (int64_t)w->page.offset, (int64_t)w->last + 1);
		w->last = (int)MIN((int64_t)w->at + (int64_t)w->page.limit - 1, (int64_t)w->last);
	} else if (!str_eq(status, "available") && !str_eq(status, "blocked")) {
		w->last = w->at - 1;
	}
}

/* The node of the query, else this host if it is a node, else any node. */
static struct place *asked_place(struct manager *m, struct call *c)
{
	const char *node = doc_str(call_query(c), "node", m->env.node);
	struct map_pos pos = { 0 };
	if (doc_get(call_query(c), "node") || m->one_host || nodes_find(m->env.nodes, node))
		return place_of(m, node);
	struct place *first = place_next(m, &pos);
	return first ? first : place_of(m, node);
}

static bool known(struct manager *m, struct call *c)
{
	const char *node = doc_str(call_query(c), "node", NULL);
	if (!node || nodes_find(m->env.nodes, node))
		return true;
	call_fail_details(c, ERR_INVALID,
			  json_pack("[{s:s, s:s}]", "field", "node", "message", "node not found; GET /api/v1/rdp/nodes lists those that exist"), NULL);
	return false;
}

void op_ports(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	if (!objects_ready(m->objects, c, op_ports) || !known(m, c))
		return;
	struct listed *w = XNEW(struct listed);
	w->m = m;
	w->place = asked_place(m, c);
	w->call = c;
	w->page = listing_page(call_query(c));
	choose_range(w);
	check_some(w);
}
