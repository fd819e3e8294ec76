#include "roles/rdp-session-controller/session/limits.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/watch/later.h"

#define SENDS_MAX 64 /* requests in flight; further ones follow the next listing */

static struct session_limits wanted_of(const struct session *s)
{
	return (struct session_limits){ s->idle_s, s->max_s, session_controller(s)->timeout_s };
}

static struct session_limits limits_of(const json_t *desktop)
{
	const json_t *limits = json_object_get(desktop, "limits");
	return (struct session_limits){ doc_int(limits, "idle_timeout", 0), doc_int(limits, "max_duration", 0),
					doc_int(limits, "disconnected_timeout", 0) };
}

static bool same(struct session_limits a, struct session_limits b)
{
	return a.idle_s == b.idle_s && a.max_s == b.max_s && a.disconnected_s == b.disconnected_s;
}

void session_limits_read(struct session *s, const json_t *doc)
{
	const json_t *limits = json_object_get(doc, "limits");
	struct session_limits before = wanted_of(s);
	s->idle_s = doc_int(limits, "idle_timeout", 0);
	s->max_s = doc_int(limits, "max_duration", 0);
	if (!same(before, wanted_of(s)))
		session_limits_check(s);
}

/* --- sending */

struct sending {
	struct controller *c;
	char id[SESSION_ID_SIZE];
	struct session_limits limits;
	char display[16];
	json_t *body;
};

static void note_refusal(struct place *p, const struct reply *r)
{
	if (!p->limits_refused)
		log_warn(SERVICE, "the agent of node %s does not take the limits of sessions: %s", p->g.name, r->message);
	p->limits_refused = true;
}

static void session_limits_sent(struct session *s, const struct sending *x, const struct reply *r)
{
	struct place *p = watched_place(s->server);
	s->limits_sending = false;
	if (!r->err) {
		s->sent = x->limits;
		s->sent_us = clock_mono_us();
		session_limits_check(s); /* they may have changed meanwhile */
	} else if (r->err == ERR_INSTANCE_NOT_FOUND || agent_silent(r)) {
		follow_retry(x->c); /* the next listing says what there is */
	}
	if (!r->err && p)
		p->limits_refused = false;
	else if (r->err && p && r->err != ERR_INSTANCE_NOT_FOUND && !agent_silent(r))
		note_refusal(p, r);
}

static void limits_answered(const struct reply *r, void *arg)
{
	struct sending *x = arg;
	struct controller *c = x->c;
	struct session *s = (struct session *)objects_find(c->objects, x->id);
	c->limits_sending--;
	if (s && !objects_draining(c->objects))
		session_limits_sent(s, x, r);
	json_decref(x->body);
	free(x);
	objects_release(c->objects);
}

static void send_limits(struct session *s, const json_t *desktop, struct session_limits limits)
{
	struct controller *c = session_controller(s);
	struct sending *x = XNEW(struct sending);
	*x = (struct sending){ .c = c, .limits = limits, .body = json_object() };
	str_copy(x->id, sizeof x->id, s->o.id);
	snprintf(x->display, sizeof x->display, "%d", s->display);
	json_object_set(x->body, "started_at", json_object_get(desktop, "started_at"));
	doc_set_int(x->body, "idle_timeout", limits.idle_s);
	doc_set_int(x->body, "max_duration", limits.max_s);
	doc_set_int(x->body, "disconnected_timeout", limits.disconnected_s);
	s->limits_sending = true;
	c->limits_sending++;
	objects_hold(c->objects);
	agent_ask(c, &(struct agent_args){ .op = c->ops.desktop_limits, .node = s->server->node, .params = { s->server->id, x->display }, .body = x->body },
		  limits_answered, x);
}

static bool may_send(struct session *s)
{
	const struct controller *c = session_controller(s);
	return !s->limits_sending && !s->o.unborn && !s->o.gone && !session_ended(s) && s->display && s->server && objects_loaded(c->objects) &&
	       !objects_draining(c->objects) && watched_leads(s->server);
}

void session_limits_check(struct session *s)
{
	struct controller *c = session_controller(s);
	const json_t *desktop = may_send(s) ? watched_desktop(s->server, s->display, s->desktop_ms) : NULL;
	if (!desktop)
		return;
	/* a listing that was requested before the agent took the limits may show older ones */
	struct session_limits wanted = wanted_of(s), present = s->sent_us > s->server->asked_us ? s->sent : limits_of(desktop);
	if (same(wanted, present))
		return;
	if (c->limits_sending < SENDS_MAX)
		send_limits(s, desktop, wanted);
	else
		follow_retry(c);
}

void limits_check_all(struct controller *c)
{
	struct map_pos pos = { 0 };
	struct watched *w;
	struct session *s;
	while ((w = watched_next(c, &pos)))
		LIST_FOREACH (s, &w->sessions, live)
			session_limits_check(s);
}

/* --- the announcement */

void session_limit_expires(struct watched *w, const json_t *announcement)
{
	static const char *const same_members[] = { "display", "username", "limit", "seconds", "action" };
	int display = (int)doc_int(announcement, "display", 0);
	struct session *s, *of = NULL;
	LIST_FOREACH (s, &w->sessions, live)
		if (s->display == display && !s->o.unborn && desktop_same_start(s->desktop_ms, desktop_started_ms(announcement)))
			of = s;
	if (!of || !watched_leads(w))
		return;
	json_t *data = json_object();
	doc_set_str(data, "status", object_state_name(&of->o));
	doc_set_str(data, "server_id", w->id);
	for (size_t i = 0; i < ARRAY_LEN(same_members); i++)
		json_object_set(data, same_members[i], json_object_get(announcement, same_members[i]));
	object_publish(&of->o, "expiring", data);
}
