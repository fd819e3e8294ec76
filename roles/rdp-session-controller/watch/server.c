#include "roles/rdp-session-controller/watch/server.h"

#include "lucid/clock.h"
#include "lucid/str.h"

#define SAME_START_MS 2000

static struct watched *watched_new(struct controller *s)
{
	struct watched *w = XNEW(struct watched);
	w->s = s;
	w->node = w->owner = w->name = w->notice = "";
	list_init(&w->sessions);
	list_init(&w->due_node);
	return w;
}

struct watched *watched_new_foreign(struct controller *s)
{
	return watched_new(s);
}

struct watched *watched_of(struct controller *s, const char *server_id)
{
	struct watched *w = map_get(s->servers, server_id);
	if (w || !id_is_uuid(server_id))
		return w;
	w = watched_new(s);
	str_copy(w->id, sizeof w->id, server_id);
	w->node = s->one_host ? s->env.node : "";
	if (map_put(s->servers, w->id, w, NULL))
		return w;
	free(w);
	return NULL;
}

struct watched *watched_next(struct controller *s, struct map_pos *pos)
{
	void *w = NULL;
	return map_next(s->servers, pos, NULL, &w) ? w : NULL;
}

void watched_learn(struct watched *w, const json_t *server)
{
	if (!w->s->one_host)
		w->node = controller_name(w->s, doc_str(server, "node", w->node));
	w->owner = controller_name(w->s, doc_str(server, "user_id", w->owner));
	w->name = controller_name(w->s, doc_str(server, "name", w->name));
	w->records = str_eq(doc_str(json_object_get(server, "recording"), "mode", "off"), "on");
	w->notice = controller_name(w->s, doc_str(json_object_get(server, "recording"), "notice", ""));
	w->current = true;
}

void watched_free(void *arg)
{
	struct watched *w = arg;
	for (size_t i = 0; w->ends && i < ENDS_MAX; i++)
		json_decref(w->ends[i].doc);
	free(w->ends);
	json_decref(w->desktops);
	free(w);
}

struct place *watched_place(struct watched *w)
{
	return *w->node ? (struct place *)objects_group(w->s->objects, w->node) : NULL;
}

bool watched_leads(struct watched *w)
{
	struct place *p = watched_place(w);
	return p && object_group_leads(&p->g);
}

int64_t desktop_started_ms(const json_t *desktop)
{
	int64_t ms = 0;
	return clock_from_iso(doc_str(desktop, "started_at", ""), &ms) ? ms : 0;
}

bool desktop_same_start(int64_t a_ms, int64_t b_ms)
{
	return a_ms && b_ms && a_ms - b_ms <= SAME_START_MS && b_ms - a_ms <= SAME_START_MS;
}

json_t *watched_desktop(const struct watched *w, int display, int64_t started_ms)
{
	json_t *desktop;
	size_t i;
	json_array_foreach(w->desktops, i, desktop)
		if (doc_int(desktop, "display", 0) == display && desktop_same_start(desktop_started_ms(desktop), started_ms))
			return desktop;
	return NULL;
}

struct desktop_end *watched_end_of(struct watched *w, int display, int64_t started_ms)
{
	for (size_t i = 0; w->ends && i < ENDS_MAX; i++)
		if (w->ends[i].display == display && desktop_same_start(w->ends[i].started_ms, started_ms))
			return &w->ends[i];
	return NULL;
}

struct desktop_end *watched_end_add(struct watched *w, int display, int64_t started_ms)
{
	struct desktop_end *e = watched_end_of(w, display, started_ms);
	if (e) {
		e->at_us = clock_mono_us();
		return e;
	}
	if (!w->ends)
		w->ends = xcalloc(ENDS_MAX, sizeof *w->ends);
	e = &w->ends[w->next_end++ % ENDS_MAX]; /* the oldest one is forgotten */
	json_decref(e->doc);
	*e = (struct desktop_end){ .display = display, .started_ms = started_ms, .at_us = clock_mono_us() };
	return e;
}

bool watched_imposes(const struct watched *w, const struct caller *caller)
{
	return w && w->records && !caller_is_admin(caller) && !str_eq(caller->sub, w->owner);
}
