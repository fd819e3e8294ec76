#include "roles/rdp-session-controller/session/session.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"

#define PREFIX "sess-"

struct session *session_of_call(struct controller *c, struct call *call, call_handler again)
{
	return (struct session *)objects_of_call(c->objects, call, "session_id", again);
}

struct task *session_task(struct controller *c, struct call *call, void (*run)(struct object_task *t))
{
	return object_task_new(c->objects, call, run);
}

bool session_id_ok(const char *id)
{
	return str_starts(id, PREFIX) && strlen(id) == SESSION_ID_SIZE - 1 && strspn(id + strlen(PREFIX), "0123456789abcdef") == 16;
}

void session_id_new(char dst[SESSION_ID_SIZE])
{
	memcpy(dst, PREFIX, strlen(PREFIX));
	id_hex(dst + strlen(PREFIX), 8);
}

void session_id_found(char dst[SESSION_ID_SIZE], const struct watched *w, int display, int64_t started_ms)
{
	char digest[ID_DIGEST_SIZE];
	_cleanup_(xfreep) char *text = xasprintf("%s %s %d %lld", w->node, w->id, display, (long long)started_ms);
	id_digest(digest, text, strlen(text));
	snprintf(dst, SESSION_ID_SIZE, PREFIX "%.16s", digest);
}

int64_t session_status_ms(const struct session *s)
{
	return s->before_ms + (clock_mono_us() - s->before_us) / 1000;
}

static void add_to(json_t *doc, const char *key, int64_t n)
{
	doc_set_int(doc, key, doc_int(doc, key, 0) + n);
}

json_t *session_statistics(const struct session *s)
{
	json_t *now = json_copy(json_object_get(s->o.doc, "statistics"));
	if (!now)
		now = json_object();
	if (s->o.state == SESSION_ACTIVE)
		add_to(now, "connected_ms", session_status_ms(s));
	else if (s->o.state == SESSION_DISCONNECTED)
		add_to(now, "disconnected_ms", session_status_ms(s));
	return now;
}

/* A session is connected again with each change to `active` but the first. */
static json_t *next_statistics(const struct session *s, enum session_status to)
{
	json_t *next = session_statistics(s);
	if (to == SESSION_ACTIVE) {
		add_to(next, "connections", 1);
		doc_set_int(next, "reconnects", doc_int(next, "connections", 1) - 1);
	}
	return next;
}

/* An ended session needs no password; it is deleted when this is durable (kind.c). */
static void session_drop_password(const struct session *s, json_t *more)
{
	json_t *config = s->sealed ? json_copy(json_object_get(s->o.doc, "rdp_config")) : NULL;
	if (!config)
		return;
	doc_set_bool(config, "has_password", false);
	doc_set(more, "rdp_config", config);
}

bool session_enter(struct session *s, enum session_status to, const char *reason, json_t *extra)
{
	int64_t now_ms = clock_wall_ms();
	json_t *more = extra ? extra : json_object();
	if (!object_may(&s->o, to, reason)) {
		json_decref(more);
		return false;
	}
	doc_set(more, "statistics", next_statistics(s, to));
	doc_set_time(more, "status_since", now_ms);
	if (session_status_ended(to)) {
		doc_set_time(more, "stopped_at", now_ms);
		doc_set_str(more, "connection_id", NULL);
		doc_set_str(more, "client_address", NULL);
		session_drop_password(s, more);
	} else {
		doc_set_str(more, "stopped_at", NULL);
	}
	s->since_ms = now_ms;
	s->before_ms = 0;
	s->before_us = clock_mono_us();
	if (!object_enter(&s->o, to, reason, more))
		return false;
	s->ended_ms = session_status_ended(to) ? now_ms : 0;
	s->unreachable = false; /* its status_reason is another one now */
	if (session_status_ended(to)) {
		list_remove(&s->live);
		s->connection[0] = 0;
	} else if (s->server && list_empty(&s->live)) {
		list_append(&s->server->sessions, &s->live);
	}
	if (session_status_ended(to) && s->server && s->display) {
		struct desktop_end *e = watched_end_add(s->server, s->display, s->desktop_ms);
		e->known = true;
		str_copy(e->session_id, sizeof e->session_id, s->o.id);
	}
	return true;
}
