#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"

/* --- status */

static const char *const status_names[SERVER_STATUS_COUNT] = { "creating", "configuring", "starting", "running",
							       "stopping", "stopped",	  "failed" };
#define TO(s) (1u << SERVER_##s)
/* A status may be left for these; anything may fail, nothing goes back to creating. */
static const unsigned legal[SERVER_STATUS_COUNT] = {
	[SERVER_CREATING] = TO(CONFIGURING) | TO(STARTING) | TO(STOPPING) | TO(FAILED),
	[SERVER_CONFIGURING] = TO(STARTING) | TO(STOPPING) | TO(FAILED),
	[SERVER_STARTING] = TO(RUNNING) | TO(STOPPING) | TO(STOPPED) | TO(FAILED),
	[SERVER_RUNNING] = TO(STARTING) | TO(STOPPING) | TO(STOPPED) | TO(FAILED),
	[SERVER_STOPPING] = TO(STOPPED) | TO(RUNNING) | TO(FAILED),
	[SERVER_STOPPED] = TO(STARTING) | TO(FAILED),
	[SERVER_FAILED] = TO(STARTING) | TO(STOPPING) | TO(FAILED),
};

const char *server_status_to_string(enum server_status s)
{
	return status_names[s];
}

bool server_status_from_string(const char *s, enum server_status *ret)
{
	for (int i = 0; s && i < SERVER_STATUS_COUNT; i++) {
		if (str_eq(status_names[i], s)) {
			*ret = (enum server_status)i;
			return true;
		}
	}
	return false;
}

bool server_status_legal(enum server_status from, enum server_status to)
{
	return legal[from] & 1u << to;
}

/* --- owners: how many definitions each has */

static struct owner *owner_of(struct manager *m, const char *user)
{
	struct owner *o = map_get(m->owners, user);
	if (o)
		return o;
	o = xcalloc(1, sizeof *o + strlen(user) + 1);
	memcpy(o->id, user, strlen(user) + 1);
	if (!map_put(m->owners, user, o, NULL)) {
		free(o);
		return NULL;
	}
	return o;
}

static void owner_leave(struct manager *m, struct owner *o)
{
	if (--o->servers == 0)
		free(map_remove(m->owners, o->id));
}

size_t owner_servers(struct manager *m, const char *user)
{
	const struct owner *o = map_get(m->owners, user);
	return o ? o->servers : 0;
}

/* --- records */

void servers_gauge(struct manager *m)
{
	for (int i = 0; i < SERVER_STATUS_COUNT; i++)
		metric_set(m->metrics.total[i], (double)m->by_status[i]);
	size_t held = 0;
	struct map_pos pos = { 0 };
	struct place *p;
	while (map_next(m->places, &pos, NULL, (void **)&p))
		held += ports_count(p->ports, PORT_ALLOCATED) + ports_count(p->ports, PORT_RESERVED);
	metric_set(m->metrics.ports, (double)held);
}

void server_count(struct server *s, enum server_status to)
{
	s->m->by_status[s->status]--;
	s->m->by_status[to]++;
	s->status = to;
	s->changed_us = clock_mono_us();
}

struct server *server_add(struct manager *m, const json_t *doc)
{
	struct server *s = XNEW(struct server);
	if (!str_copy(s->id, sizeof s->id, doc_str(doc, "server_id", "")) ||
	    !(s->owner = owner_of(m, doc_str(doc, "user_id", "")))) {
		free(s);
		return NULL;
	}
	s->m = m;
	if (!map_put(m->servers, s->id, s, NULL)) {
		if (!s->owner->servers)
			free(map_remove(m->owners, s->owner->id));
		free(s);
		return NULL;
	}
	s->owner->servers++;
	s->status = SERVER_FAILED;
	server_status_from_string(doc_str(doc, "status", ""), &s->status);
	m->by_status[s->status]++;
	s->port = (int)doc_int(doc, "port", 0);
	s->auto_start = doc_bool(doc, "auto_start", true);
	s->absent = absence_said(doc);
	s->version = s->stored_version = doc_int(doc, "version", 1);
	s->changed_us = s->seen_us = clock_mono_us();
	s->stored_status = s->status;
	s->round = m->round;
	s->place = place_of(m, doc_str(doc, "node", ""));
	s->place->servers++;
	ports_hold(s->place->ports, s->port);
	list_init(&s->waiters);
	list_init(&s->tasks);
	return s;
}

void server_sync(struct server *s, const json_t *doc)
{
	struct manager *m = s->m;
	const char *user = doc_str(doc, "user_id", "");
	if (!str_eq(s->owner->id, user)) {
		struct owner *o = owner_of(m, user);
		if (o) {
			o->servers++;
			owner_leave(m, s->owner);
			s->owner = o;
		}
	}
	enum server_status status = s->status;
	server_status_from_string(doc_str(doc, "status", ""), &status);
	if (status != s->status)
		server_count(s, status);
	int port = (int)doc_int(doc, "port", 0);
	if (port != s->port) {
		ports_let_go(s->place->ports, s->port);
		ports_hold(s->place->ports, port);
		s->port = port;
	}
	s->auto_start = doc_bool(doc, "auto_start", true);
	s->absent = absence_said(doc);
	s->stored_status = s->status;
	int64_t version = doc_int(doc, "version", 1);
	if (version != s->version)
		s->seen_us = clock_mono_us();
	s->version = s->stored_version = version;
}

void server_free(struct server *s)
{
	server_forget(s);
	loop_timer_free(s->retry);
	loop_timer_free(s->poll);
	loop_timer_free(s->renew);
	json_decref(s->unsure);
	json_decref(s->doc);
	free(s);
}

void server_drop(struct server *s)
{
	struct manager *m = s->m;
	map_remove(m->servers, s->id);
	m->by_status[s->status]--;
	owner_leave(m, s->owner);
	s->owner = NULL;
	s->place->servers--;
	ports_let_go(s->place->ports, s->port);
	s->gone = true;
	if (!s->running && list_empty(&s->tasks) && !s->writing)
		server_free(s);
}

struct server *server_find(struct manager *m, const char *id)
{
	struct server *s = map_get(m->servers, id);
	return s && !s->unborn && !s->gone ? s : NULL;
}

size_t servers_live(const struct manager *m)
{
	size_t n = 0;
	for (int i = 0; i < SERVER_STATUS_COUNT; i++)
		if (i != SERVER_STOPPED)
			n += m->by_status[i];
	return n;
}

bool may_see(const struct caller *c, const char *owner)
{
	return caller_is_admin(c) || str_eq(c->sub, owner);
}

/* --- quotas */

int quota_definition(struct manager *m, struct call *c, const char *user)
{
	return quota_of(m, c, user, (int64_t)owner_servers(m, user));
}

int quota_of(struct manager *m, struct call *c, const char *user, int64_t has)
{
	if (has < m->max_per_user)
		return 0;
	if (c)
		call_fail(c, ERR_QUOTA, "%s has %lld servers, as many as MAX_SERVERS_PER_USER allows; delete one first", user,
			  (long long)m->max_per_user);
	return -ERR_QUOTA;
}

int quota_live(struct manager *m, struct call *c)
{
	if (servers_live(m) < (size_t)m->max_live)
		return 0;
	if (c)
		call_fail(c, ERR_QUOTA,
			  "%lld servers are not stopped, as many as MAX_CONCURRENT_SERVERS allows; stop or delete one first",
			  (long long)m->max_live);
	return -ERR_QUOTA;
}
