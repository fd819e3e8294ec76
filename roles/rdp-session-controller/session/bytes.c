#include "roles/rdp-session-controller/session/bytes.h"

#include "roles/rdp-session-controller/session/session.h"

/* The session of the display: a live one, else the one that ended last. */
static struct session *session_on(struct watched *w, int display)
{
	struct session *s;
	struct desktop_end *last = NULL;
	LIST_FOREACH (s, &w->sessions, live)
		if (s->display == display && !s->o.unborn)
			return s;
	for (size_t i = 0; w->ends && i < ENDS_MAX; i++)
		if (w->ends[i].display == display && *w->ends[i].session_id && (!last || w->ends[i].at_us > last->at_us))
			last = &w->ends[i];
	return last ? (struct session *)objects_find(w->s->objects, last->session_id) : NULL;
}

static void run_count(struct object_task *on)
{
	struct task *t = task_of(on);
	struct object *o = on->object;
	json_t *statistics = json_copy(json_object_get(o->doc, "statistics"));
	if (statistics) {
		doc_set_int(statistics, "bytes_in", doc_int(statistics, "bytes_in", 0) + t->bytes_in);
		doc_set_int(statistics, "bytes_out", doc_int(statistics, "bytes_out", 0) + t->bytes_out);
		object_touch(o, "statistics", statistics);
	}
	object_task_end(on);
}

void bytes_count(struct watched *w, const json_t *connection)
{
	int display = (int)doc_int(connection, "display", 0);
	struct session *s = display ? session_on(w, display) : NULL;
	if (!s)
		return;
	struct task *t = session_task(w->s, NULL, run_count);
	t->bytes_in = doc_int(connection, "bytes_in", 0);
	t->bytes_out = doc_int(connection, "bytes_out", 0);
	object_queue(&s->o, &t->on);
}
