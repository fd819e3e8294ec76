#include "roles/rdp-session-controller/recording/follow.h"

#include "lucid/clock.h"
#include "lucid/nodes.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/chunks.h"
#include "roles/rdp-session-controller/recording/delete.h"
#include "roles/rdp-session-controller/recording/keys.h"
#include "roles/rdp-session-controller/recording/pipeline.h"
#include "roles/rdp-session-controller/recording/settle.h"
#include "roles/rdp-session-controller/recording/start.h"

#define LOOK_MS 5000	    /* while something is recorded on the host, or was not settled */
#define LOOK_IDLE_MS 60000
#define SOON_MS 200
#define UNLISTED_MS 10000   /* a start may be under way that the listing does not show yet */

/* --- states */

void recording_end_as(struct recording *r, const char *state, const char *reason)
{
	unsigned to = RECORDING_FAILED;
	json_t *extra = json_object();
	object_state_of(&recording_kind, state, &to);
	if (to == RECORDING_FAILED && r->chunks) /* what there is can be played */
		to = RECORDING_TRUNCATED;
	doc_set_time(extra, "ended_at", clock_wall_ms());
	if (r->o.state == to || !object_may(&r->o, to, reason))
		json_decref(extra);
	else
		object_enter(&r->o, to, reason, extra);
	recording_reread(r);
}

static void recording_interrupted(struct recording *r, const char *reason)
{
	json_t *data = json_object();
	doc_set_str(data, "recording_id", r->o.id);
	doc_set_str(data, "session_id", doc_str(r->o.doc, "session_id", NULL));
	doc_set_str(data, "reason", reason);
	object_publish(&r->o, "interrupted", data);
}

static void observe_open(struct recording *r, const char *state, const char *reason)
{
	unsigned to = str_eq(state, "paused") ? RECORDING_PAUSED : RECORDING_RUNNING;
	if (r->o.state != to && object_may(&r->o, to, reason)) {
		object_enter(&r->o, to, to == RECORDING_PAUSED ? reason : NULL, NULL);
		return;
	}
	if (r->o.state != RECORDING_RUNNING)
		return;
	bool lost = str_eq(state, "lost") || str_eq(state, "interrupted"), was = doc_str(r->o.doc, "state_reason", NULL) != NULL;
	if (lost && !was) {
		object_touch(&r->o, "state_reason", json_string(reason && *reason ? reason : "connection_lost"));
		recording_interrupted(r, reason && *reason ? reason : "connection_lost");
	} else if (!lost && was) {
		object_touch(&r->o, "state_reason", json_null());
	}
}

static bool state_has_ended(const char *state)
{
	return str_eq(state, "complete") || str_eq(state, "truncated") || str_eq(state, "failed");
}

static void run_recording_observe(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	struct recording *r = task_recording(t);
	const char *state = doc_str(t->body, "state", ""), *reason = doc_str(t->body, "reason", NULL);
	r->observing = false;
	if (!objects_draining(r->o.set) && !r->deleting) {
		if (!state_has_ended(state))
			observe_open(r, state, reason);
		if (str_eq(state, "interrupted"))
			recording_continue(r);
		if (state_has_ended(state) || r->chunks < doc_int(t->body, "chunks", 0))
			recording_settle(r, state_has_ended(state) ? state : NULL, reason);
	}
	object_task_end(on);
}

void recording_followed(struct object_task *t)
{
	struct recording *r = (struct recording *)t->object;
	if (t->run == run_recording_observe)
		r->observing = false;
	recording_settle_unrun(recording_task_of(t)); /* a task that ran has taken it */
	recording_delete_unrun(recording_task_of(t));
	recording_rewrap_unrun(recording_task_of(t));
	recording_start_unrun(recording_task_of(t));
}

void recording_observe(struct recording *r, const json_t *report)
{
	if (r->observing || r->o.gone || r->o.unborn)
		return; /* the next listing says what has become of it */
	r->observing = true;
	struct recording_task *t = recording_task_new(recording_all(r), NULL, run_recording_observe);
	t->body = json_incref((json_t *)(uintptr_t)report);
	object_queue(&r->o, &t->on);
}

/* --- events */

static struct recording *recording_of_event(struct recordings *all, const struct event *e)
{
	const char *id = doc_str(e->data, "recording_id", "");
	struct recording *r = objects_loaded(all->objects) && !objects_draining(all->objects) ? (struct recording *)objects_find(all->objects, id) : NULL;
	return r && recording_leads(r) ? r : NULL;
}

static void on_recording_event(const struct event *e, void *ctx)
{
	struct recording *r = recording_of_event(ctx, e);
	if (!r)
		return;
	if (str_eq(e->topic, "xrdp.recording.chunk"))
		recording_chunk_closed(r, e->data);
	else if (r->observing)
		stored_recordings_look_soon(ctx);
	else
		recording_observe(r, e->data);
}

/* A session has begun, or its desktop was joined with it: it may want to be recorded. */
static void session_read_for_recording(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	struct recordings *all = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc && !objects_draining(all->objects)) {
		recordings_retain(all, doc);
		recording_consider(all, doc);
	}
	objects_release(all->objects);
}

static void on_session_event(const struct event *e, void *ctx)
{
	struct recordings *all = ctx;
	const struct session *s = (const struct session *)objects_find(all->c->objects, e->object_id);
	if (!s || !object_group_leads(s->o.group) || objects_draining(all->objects) || (str_eq(e->topic, "session.created") && !s->display))
		return;
	objects_hold(all->objects);
	store_get(all->c->env.store, COL_SESSIONS, s->o.id, session_read_for_recording, all);
}

void recordings_follow_begin(struct recordings *all)
{
	all->events = bus_subscribe(all->c->env.bus, "xrdp.recording.*", on_recording_event, all);
	all->session_events = bus_subscribe(all->c->env.bus, "session.*", on_session_event, all);
}

void recordings_follow_end(struct recordings *all)
{
	bus_unsubscribe(all->events);
	bus_unsubscribe(all->session_events);
}

/* --- listings */

static bool place_busy(struct recording_place *p)
{
	struct map_pos pos = { 0 };
	const struct recording *r;
	while ((r = (const struct recording *)objects_next(p->g.set, &pos)))
		if ((struct recording_place *)r->o.group == p && (recording_open(r) || recording_unsettled(r)))
			return true;
	return false;
}

/* An open recording that its agent does not know has ended, without anybody having noticed. */
static void look_at_unlisted(struct recording_place *p, const struct map *listed)
{
	struct map_pos pos = { 0 };
	struct recording *r;
	while ((r = (struct recording *)objects_next(p->g.set, &pos))) {
		if ((struct recording_place *)r->o.group != p || r->o.unborn || r->o.gone || !recording_open(r))
			continue;
		if (map_get(listed, r->o.id)) {
			r->unlisted_us = 0;
			continue;
		}
		if (!r->unlisted_us)
			r->unlisted_us = clock_mono_us();
		if (clock_mono_us() - r->unlisted_us >= UNLISTED_MS * 1000)
			recording_settle(r, "truncated", "unfinished");
	}
}

static void take_listed(struct recordings *all, struct recording_place *p, json_t *item)
{
	const char *id = doc_str(item, "recording_id", "");
	struct recording *r = (struct recording *)objects_record(all->objects, id);
	if (!r) {
		recording_adopt(all, p->g.name, item);
		return;
	}
	json_decref(r->figures);
	r->figures = json_incref(json_object_get(item, "figures"));
	recording_figures_count(r, item);
	if (!r->sealed || recording_open(r) || !state_has_ended(doc_str(item, "state", "")))
		recording_observe(r, item);
	else
		recording_acknowledge(r); /* settled before, but its agent keeps it in the list */
}

static void recordings_listed(const struct reply *r, void *arg)
{
	struct recording_place *p = arg;
	struct recordings *all = objects_ctx(p->g.set);
	p->listing = false;
	if (!r->err && !objects_draining(all->objects)) {
		struct map *listed = map_new(65536);
		json_t *item;
		size_t i;
		p->listed_us = clock_mono_us();
		json_array_foreach(json_object_get(r->doc, "recordings"), i, item)
		{
			map_put(listed, doc_str(item, "recording_id", ""), item, NULL);
			take_listed(all, p, item);
		}
		look_at_unlisted(p, listed);
		map_free(listed, NULL);
		settle_place(p);
	}
	objects_release(all->objects);
}

static void list_place(struct recordings *all, struct recording_place *p)
{
	if (p->listing || !*p->g.name || !object_group_leads(&p->g) || agent_unreachable(all->c, p->g.name))
		return;
	p->listing = true;
	objects_hold(all->objects);
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.list, .node = p->g.name }, recordings_listed, p);
}

static bool name_recording_place(const struct node_info *node, void *arg)
{
	objects_group(arg, node->name);
	return true;
}

void recordings_look(void *arg)
{
	struct recordings *all = arg;
	struct map_pos pos = { 0 };
	struct recording_place *p;
	if (objects_draining(all->objects) || !objects_loaded(all->objects))
		return;
	loop_timer_set(all->look, LOOK_MS);
	if (!all->c->one_host) {
		nodes_each(all->c->env.nodes, name_recording_place, all->objects);
		objects_lead(all->objects);
	}
	while ((p = (struct recording_place *)objects_next_group(all->objects, &pos)))
		if (!p->listed_us || clock_mono_us() - p->listed_us >= LOOK_IDLE_MS * 1000 || place_busy(p))
			list_place(all, p);
}

void stored_recordings_look_soon(struct recordings *all)
{
	struct map_pos pos = { 0 };
	struct recording_place *p;
	while ((p = (struct recording_place *)objects_next_group(all->objects, &pos)))
		p->listed_us = 0;
	loop_timer_set(all->look, SOON_MS);
}
