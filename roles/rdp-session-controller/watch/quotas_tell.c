#include "roles/rdp-session-controller/watch/quotas_tell.h"

#include <stdio.h>

#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/session/session.h"

#define TELL_MS 300
#define COUNTED_EACH_MS 1000 /* sessions that are counted for each millisecond between two statements */
#define USERS_MAX 100000
#define ITEMS_MAX 2000 /* as the contract of the agent allows */

/* --- the statement */

struct tally {
	int64_t all, elsewhere;
};

struct declared {
	const char *server_id, *user;
	int64_t sessions;
};

struct count {
	struct controller *c;
	const struct place *p;
	struct map *users;    /* user → struct tally */
	struct map *declared; /* "server_id user" → struct declared */
	int64_t elsewhere;
};

static void count_declared(struct count *n, const struct session *s)
{
	char key[ID_UUID_SIZE + CALLER_NAME_MAX + 2];
	snprintf(key, sizeof key, "%s %s", s->server->id, s->o.owner->id);
	struct declared *d = map_get(n->declared, key);
	if (!d) {
		d = XNEW(struct declared);
		*d = (struct declared){ .server_id = s->server->id, .user = s->o.owner->id };
		if (!map_put(n->declared, key, d, NULL)) {
			free(d);
			return;
		}
	}
	d->sessions++;
}

static void count_session(struct count *n, const struct session *s, bool of_place)
{
	struct tally *t = map_get(n->users, s->o.owner->id);
	bool here = of_place && s->display;
	if (!t) {
		t = XNEW(struct tally);
		if (!map_put(n->users, s->o.owner->id, t, NULL)) {
			free(t);
			return;
		}
	}
	t->all++;
	t->elsewhere += !here;
	n->elsewhere += !here;
	if (of_place && !s->display && !s->o.unborn && s->o.state == SESSION_CREATED)
		count_declared(n, s);
}

static void count_all(struct count *n)
{
	struct map_pos pos = { 0 };
	struct watched *w;
	const struct session *s;
	for (w = n->c->foreign; w; w = watched_next(n->c, &pos))
		LIST_FOREACH (s, &w->sessions, live)
			if (!s->o.gone)
				count_session(n, s, watched_place(w) == n->p);
}

/* Users with less than half of their bound are left out: their sessions on one host cannot exceed it between two statements, or hardly. */
static json_t *list_users(const struct count *n)
{
	json_t *list = json_array();
	struct map_pos pos = { 0 };
	const char *user;
	void *value;
	while (json_array_size(list) < ITEMS_MAX && map_next(n->users, &pos, &user, &value)) {
		const struct tally *t = value;
		if (t->elsewhere && t->all * 2 >= n->c->max_per_user)
			json_array_append_new(list, json_pack("{s:s, s:I}", "user_id", user, "elsewhere", (json_int_t)t->elsewhere));
	}
	return list;
}

static json_t *list_declared(const struct count *n)
{
	json_t *list = json_array();
	struct map_pos pos = { 0 };
	void *value;
	while (json_array_size(list) < ITEMS_MAX && map_next(n->declared, &pos, NULL, &value)) {
		const struct declared *d = value;
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "server_id", d->server_id, "user_id", d->user, "sessions",
						      (json_int_t)d->sessions));
	}
	return list;
}

static json_t *statement_of(const struct place *p)
{
	struct controller *c = objects_ctx(p->g.set);
	struct count n = { .c = c, .p = p, .users = map_new(USERS_MAX), .declared = map_new(ITEMS_MAX) };
	json_t *doc = json_object();
	count_all(&n);
	doc_set_int(doc, "max_concurrent_sessions", c->max_live);
	doc_set_int(doc, "max_sessions_per_user", c->max_per_user);
	doc_set_int(doc, "elsewhere", n.elsewhere);
	doc_set(doc, "users", list_users(&n));
	doc_set(doc, "declared", list_declared(&n));
	map_free(n.users, free);
	map_free(n.declared, free);
	return doc;
}

/* --- telling */

/* Logs only the change. An agent that does not answer is logged by reconcile.c. */
static void note_refusal(struct place *p, const struct reply *r)
{
	bool refused = r->err && !agent_silent(r);
	if (refused && !p->tell_refused)
		log_warn(SERVICE, "the agent of node %s does not accept the numbers of sessions, so logins there may exceed MAX_SESSIONS_PER_USER and "
				  "MAX_CONCURRENT_SESSIONS: %s", p->g.name, r->message);
	p->tell_refused = refused;
}

static void told(const struct reply *r, void *arg)
{
	struct place *p = arg;
	struct controller *c = objects_ctx(p->g.set);
	bool again = p->tell_again;
	p->telling = p->tell_again = false;
	note_refusal(p, r);
	if (r->err)
		p->told = 0; /* the next comparison repeats it */
	if (again)
		quotas_changed(c);
	objects_release(p->g.set);
}

static void tell(struct place *p, bool if_changed)
{
	struct controller *c = objects_ctx(p->g.set);
	if (!*p->g.name || !object_group_leads(&p->g) || agent_unreachable(c, p->g.name))
		return;
	if (p->telling) {
		p->tell_again = true;
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = statement_of(p);
	_cleanup_(xfreep) char *text = doc_text(doc);
	uint64_t hash = map_hash(text, strlen(text));
	if (if_changed && hash == p->told)
		return;
	p->told = hash;
	p->telling = true;
	objects_hold(p->g.set);
	agent_ask(c, &(struct agent_args){ .op = c->ops.quotas, .node = p->g.name, .body = doc }, told, p);
}

void quotas_tell(struct place *p)
{
	tell(p, false);
}

static void tell_all(void *arg)
{
	struct controller *c = arg;
	struct map_pos pos = { 0 };
	struct place *p;
	c->tell_soon = false;
	if (objects_draining(c->objects) || !objects_loaded(c->objects))
		return;
	while ((p = place_next(c, &pos)))
		tell(p, true);
}

static int64_t pause_ms(struct controller *c)
{
	struct map_pos pos = { 0 };
	int64_t places = 0, live = 0;
	while (place_next(c, &pos))
		places++;
	for (unsigned s = 0; s < SESSION_STATUS_COUNT; s++)
		live += session_status_ended(s) ? 0 : (int64_t)objects_in_state(c->objects, s);
	return MAX(TELL_MS, places * live / COUNTED_EACH_MS);
}

void quotas_changed(struct controller *c)
{
	if (c->tell_soon || !c->tell_timer || !objects_loaded(c->objects))
		return;
	c->tell_soon = true;
	loop_timer_set(c->tell_timer, pause_ms(c));
}

void quotas_tell_begin(struct controller *c)
{
	c->tell_timer = loop_timer_new(c->env.loop, tell_all, c);
}

void quotas_tell_end(struct controller *c)
{
	loop_timer_free(TAKE_PTR(c->tell_timer));
}
