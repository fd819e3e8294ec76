#include "roles/rdp-session-controller/watch/events.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/session/bytes.h"
#include "roles/rdp-session-controller/session/limits.h"
#include "roles/rdp-session-controller/watch/later.h"
#include "roles/rdp-session-controller/watch/look.h"

static bool ready(const struct controller *c)
{
	return objects_loaded(c->objects) && !objects_draining(c->objects);
}

/* Why a desktop ended is in the event only. */
static void on_desktop(const struct event *e, void *ctx)
{
	struct controller *c = ctx;
	struct watched *w = ready(c) ? watched_of(c, e->object_id) : NULL;
	int display = (int)doc_int(e->data, "display", 0);
	int64_t started_ms = desktop_started_ms(e->data);
	if (!w)
		return;
	if (str_eq(e->topic, "xrdp.desktop.expiring")) {
		session_limit_expires(w, e->data);
		return;
	}
	if (str_eq(e->topic, "xrdp.desktop.ended") && display && started_ms) {
		struct desktop_end *end = watched_end_add(w, display, started_ms);
		json_decref(end->doc);
		end->doc = json_incref(e->data);
	}
	look_at(w);
}

static void on_connection(const struct event *e, void *ctx)
{
	struct controller *c = ctx;
	struct watched *w = ready(c) ? watched_of(c, e->object_id) : NULL;
	if (!w)
		return;
	if (str_eq(e->topic, "xrdp.connection.closed") && watched_leads(w))
		bytes_count(w, e->data);
	look_at(w);
}

/* An instance that stopped has no desktops any more; one that was adopted may have some. */
static void on_instance(const struct event *e, void *ctx)
{
	struct controller *c = ctx;
	struct watched *w = ready(c) ? map_get(c->servers, e->object_id) : NULL;
	if (w)
		look_at(w);
}

/* The owner of a server has changed, or the server is new or gone. */
static void on_server(const struct event *e, void *ctx)
{
	struct controller *c = ctx;
	struct watched *w = ready(c) ? map_get(c->servers, e->object_id) : NULL;
	if (!w || str_eq(e->topic, "server.status"))
		return;
	w->current = false;
	if (!list_empty(&w->sessions))
		look_at(w);
}

static void on_node(const struct event *e, void *ctx)
{
	if (!str_eq(doc_str(e->data, "status", ""), "unreachable"))
		follow_later(ctx);
}

static void on_gap(UNUSED const struct event *e, void *ctx)
{
	follow_later(ctx);
}

void events_begin(struct controller *c)
{
	struct bus *b = c->env.bus;
	c->desktop_events = bus_subscribe(b, "xrdp.desktop.*", on_desktop, c);
	c->connection_events = bus_subscribe(b, "xrdp.connection.*", on_connection, c);
	c->instance_events = bus_subscribe(b, "xrdp.instance.*", on_instance, c);
	c->server_events = bus_subscribe(b, "server.*", on_server, c);
	c->node_events = bus_subscribe(b, "node.status", on_node, c);
	c->gaps = bus_subscribe(b, BUS_GAP, on_gap, c);
}

void events_end(struct controller *c)
{
	struct subscription *all[] = { c->desktop_events, c->connection_events, c->instance_events, c->server_events, c->node_events, c->gaps };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		bus_unsubscribe(all[i]);
}
