#include "roles/rdp-server-manager/server/limits.h"

#include "lucid/clock.h"
#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/node/later.h"
#include "roles/rdp-server-manager/node/place.h"

#define SENDS_MAX 64 /* requests in flight; further ones follow the next listing */

static const char *const names[] = { "idle_timeout", "disconnected_timeout", "kill_disconnected" };

static struct desktop_limits limits_in(const json_t *doc)
{
	return (struct desktop_limits){ doc_int(doc, names[0], 0), doc_int(doc, names[1], 0), doc_bool(doc, names[2], false) };
}

static bool limits_same(struct desktop_limits a, struct desktop_limits b)
{
	return a.idle_s == b.idle_s && a.disconnected_s == b.disconnected_s && a.kill == b.kill;
}

static json_t *without_limits(const json_t *doc)
{
	json_t *desktop = json_copy(json_object_get(doc, "desktop"));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		json_object_del(desktop, names[i]);
	return desktop;
}

bool server_limits_only(const json_t *before, const json_t *after)
{
	_cleanup_(doc_unrefp) json_t *a = without_limits(before), *b = without_limits(after);
	return json_equal(a, b) || (!a && !b);
}

/* --- sending */

struct sending {
	struct manager *m;
	char id[ID_UUID_SIZE];
	struct desktop_limits limits;
};

static void limits_send(struct server *s);

static void limits_refused(struct place *p, const struct reply *r)
{
	if (!p->limits_refused)
		log_warn(SERVICE, "the agent of node %s does not take the limits of a running server, which apply after a restart: %s", p->g.name, r->message);
	p->limits_refused = true;
}

static void limits_sent(struct server *s, const struct sending *x, const struct reply *r)
{
	s->limits_sending = false;
	if (!r->err) {
		s->limits_us = clock_mono_us();
		server_place(s)->limits_refused = false;
		if (!limits_same(s->limits, x->limits)) /* they have changed meanwhile */
			limits_send(s);
	} else if (agent_away(r)) {
		reconcile_retry(x->m);
	} else if (r->err != ERR_INSTANCE_NOT_FOUND) { /* otherwise the next start tells the agent */
		limits_refused(server_place(s), r);
	}
}

static void limits_answered(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct sending *x = arg;
	struct objects *set = x->m->objects;
	struct server *s = server_find(x->m, x->id);
	x->m->limits_sending--;
	if (s && !objects_draining(set))
		limits_sent(s, x, r);
	objects_release(set);
}

static bool has_instance(const struct server *s)
{
	return s->o.state != SERVER_CREATING && s->o.state != SERVER_CONFIGURING && s->o.state != SERVER_STOPPED;
}

static void limits_send(struct server *s)
{
	struct manager *m = server_manager(s);
	if (s->limits_sending || s->o.unborn || s->o.gone || !has_instance(s) || !objects_loaded(m->objects) || objects_draining(m->objects) ||
	    !place_leads(server_place(s)))
		return;
	if (m->limits_sending >= SENDS_MAX) {
		reconcile_retry(m);
		return;
	}
	struct sending *x = XNEW(struct sending);
	json_t *body = json_object();
	*x = (struct sending){ .m = m, .limits = s->limits };
	str_copy(x->id, sizeof x->id, s->o.id);
	doc_set_int(body, names[0], s->limits.idle_s);
	doc_set_int(body, names[1], s->limits.disconnected_s);
	doc_set_bool(body, names[2], s->limits.kill);
	s->limits_sending = true;
	m->limits_sending++;
	objects_hold(m->objects);
	agent_call(m, server_place(s)->g.name, m->agent.limits, s->o.id, NULL, body, NULL, limits_answered, x);
}

/* --- what is wanted, and what there is */

void server_limits_read(struct server *s, const json_t *doc)
{
	struct desktop_limits before = s->limits;
	s->limits = limits_in(json_object_get(doc, "desktop"));
	if (limits_same(before, s->limits))
		return;
	s->limits_us = clock_mono_us();
	limits_send(s);
}

void server_limits_compare(struct server *s, const json_t *instance, int64_t asked_us)
{
	const json_t *present = json_object_get(instance, "desktop_limits"); /* an agent of an older version does not show them */
	if (present && s->limits_us < asked_us && !limits_same(limits_in(present), s->limits))
		limits_send(s);
}
