#include "roles/rdp-session-controller/watch/look.h"

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/session/found.h"
#include "roles/rdp-session-controller/session/limits.h"
#include "roles/rdp-session-controller/watch/later.h"

#define LOOKS_MAX 32 /* listings in flight */

static void look_next(struct controller *c);

/* --- comparison of a listing with the sessions */

static struct session *session_of(struct watched *w, const json_t *desktop)
{
	int display = (int)doc_int(desktop, "display", 0);
	int64_t started_ms = desktop_started_ms(desktop);
	struct session *s;
	LIST_FOREACH (s, &w->sessions, live)
		if (s->display == display && desktop_same_start(s->desktop_ms, started_ms))
			return s;
	return NULL;
}

static bool up_to_date(const struct session *s, const json_t *desktop)
{
	const char *owner = str_eq(s->server->owner, s->o.owner->id) ? "" : s->server->owner;
	return s->o.state == session_status_of_desktop(doc_str(desktop, "status", "")) &&
	       str_eq(s->connection, doc_str(desktop, "connection_id", "")) && (!s->server->current || str_eq(owner, s->server_owner));
}

static void compare_desktop(struct watched *w, const json_t *desktop)
{
	struct session *s = session_of(w, desktop);
	if (!*doc_str(desktop, "username", "") || !desktop_started_ms(desktop))
		return; /* it is only just starting: an event follows */
	if (s) {
		if (!s->o.unborn && !up_to_date(s, desktop))
			session_observe(s);
		session_limits_check(s);
		return;
	}
	const struct desktop_end *e = watched_end_of(w, (int)doc_int(desktop, "display", 0), desktop_started_ms(desktop));
	if (!e || e->at_us < w->asked_us)
		session_adopt(w, desktop);
}

/* A desktop that ended before a listing showed it has a session, too: somebody logged in. */
static void compare_ends(struct watched *w)
{
	for (size_t i = 0; w->ends && i < ENDS_MAX; i++) {
		struct desktop_end *e = &w->ends[i];
		if (e->display && e->doc && !e->known && !session_of(w, e->doc)) {
			e->known = true;
			session_adopt(w, e->doc);
		}
	}
}

static void compare(struct watched *w)
{
	struct session *s, *tmp;
	json_t *desktop;
	size_t i;
	if (!watched_leads(w) || objects_draining(w->s->objects))
		return;
	json_array_foreach(w->desktops, i, desktop)
		compare_desktop(w, desktop);
	LIST_FOREACH_SAFE (s, tmp, &w->sessions, live)
		if (s->display && !s->o.unborn && !watched_desktop(w, s->display, s->desktop_ms))
			session_observe(s);
	compare_ends(w);
}

/* --- the listing */

static void look_over(struct watched *w)
{
	struct controller *c = w->s;
	w->looking = false;
	c->looking--;
	if (w->again && !objects_draining(c->objects))
		look_at(w);
	look_next(c);
	objects_release(c->objects);
}

static void take_listing(struct watched *w, json_t *consume_desktops, int64_t asked_us)
{
	json_decref(w->desktops);
	w->desktops = consume_desktops;
	w->asked_us = asked_us;
	compare(w);
}

static void desktops_listed(const struct reply *r, void *arg)
{
	struct watched *w = arg;
	if (!r->err)
		take_listing(w, json_incref(json_object_get(r->doc, "desktops")), w->asking_us);
	else if (r->err == ERR_INSTANCE_NOT_FOUND)
		take_listing(w, json_array(), w->asking_us);
	else
		follow_retry(w->s);
	look_over(w);
}

static void list_desktops(struct watched *w)
{
	struct controller *c = w->s;
	struct place *p = watched_place(w);
	if (!p || !object_group_leads(&p->g) || agent_unreachable(c, w->node)) {
		look_over(w);
		return;
	}
	w->asking_us = clock_mono_us();
	agent_ask(c, &(struct agent_args){ .op = c->ops.desktops, .node = w->node, .params = { w->id } }, desktops_listed, w);
}

/* A server that rdp-server-manager does not know may still have desktops. If the manager does not answer, its owner is learned later. */
static void server_got(const struct reply *r, void *arg)
{
	struct watched *w = arg;
	_cleanup_(doc_unrefp) json_t *doc = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : json_incref(r->doc);
	if (!r->err)
		watched_learn(w, doc);
	else if (r->err != ERR_SERVER_NOT_FOUND)
		follow_retry(w->s);
	list_desktops(w);
}

static void look_begin(struct watched *w)
{
	struct controller *c = w->s;
	w->due = w->again = false;
	w->looking = true;
	c->looking++;
	objects_hold(c->objects);
	if (w->current)
		list_desktops(w);
	else
		bus_call(c->env.bus, &(struct call_args){ .op = c->ops.server, .params = { w->id } }, server_got, w);
}

static void look_next(struct controller *c)
{
	struct list *first;
	while (c->looking < LOOKS_MAX && !objects_draining(c->objects) && (first = list_take_first(&c->due)))
		look_begin(CONTAINER_OF(first, struct watched, due_node));
}

void look_at(struct watched *w)
{
	struct controller *c = w->s;
	struct place *p = watched_place(w);
	if (!objects_loaded(c->objects) || objects_draining(c->objects) || (p && !object_group_leads(&p->g)))
		return;
	if (w->looking) {
		w->again = true;
		return;
	}
	if (!w->due) {
		w->due = true;
		list_append(&c->due, &w->due_node);
	}
	look_next(c);
}

void look_found_none(struct watched *w, int64_t asked_us)
{
	if (w->looking || w->due || w->asked_us >= asked_us)
		return; /* there is a newer listing, or one follows */
	take_listing(w, json_array(), asked_us);
}
