#include "roles/rdp-server-manager/servers.h"

static void kick(struct server *s);

static void unload(struct server *s)
{
	if (s->running)
		return;
	server_let_go(s);
}

struct task *task_new(struct call *c, void (*run)(struct task *t))
{
	struct task *t = XNEW(struct task);
	t->call = c;
	t->asked = c != NULL;
	t->run = run;
	return t;
}

static void task_free(struct task *t)
{
	loop_timer_free(t->timer);
	json_decref(t->body);
	json_decref(t->was);
	free(t->refusal.message);
	json_decref(t->refusal.details);
	free(t);
}

void task_remember(struct task *t)
{
	json_decref(t->was);
	t->was = json_incref(t->s->doc);
}

void task_go_back(struct task *t)
{
	static const char *const kept[] = { "pending_restart", "started_at", "stopped_at" };
	enum server_status back = SERVER_STOPPED;
	server_status_from_string(doc_str(t->was, "status", ""), &back);
	if (back == t->s->status)
		return;
	if (!server_status_legal(t->s->status, back))
		back = t->s->status == SERVER_STARTING ? SERVER_STOPPED : SERVER_FAILED;
	json_t *extra = json_object();
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		json_object_set(extra, kept[i], json_object_get(t->was, kept[i]));
	server_enter(t->s, back, doc_str(t->was, "status_reason", NULL), extra);
}

void task_fail(struct task *t, int err, const char *fmt, ...)
{
	if (t->call) {
		va_list ap;
		va_start(ap, fmt);
		_cleanup_(xfreep) char *text = fmt ? xvasprintf(fmt, ap) : NULL;
		va_end(ap);
		if (text)
			call_fail(TAKE_PTR(t->call), err, "%s", text);
		else
			call_fail(TAKE_PTR(t->call), err, NULL);
	}
	task_end(t);
}

void task_answer(struct task *t, int status)
{
	if (t->call)
		server_send(t->s, TAKE_PTR(t->call), status);
}

static void refused(int err, void *arg)
{
	struct task *t = arg;
	if (t->call)
		call_fail_details(TAKE_PTR(t->call), t->refusal.err, TAKE_PTR(t->refusal.details), "%s", t->refusal.message);
	task_end(t);
}

static void wait_over(void *arg)
{
	struct task *t = arg;
	task_answer(t, t->fresh ? 201 : 202);
}

void task_wait(struct task *t)
{
	if (!t->call || !t->wait || t->remove || t->timer)
		return;
	t->timer = loop_timer_new(t->s->m->env.loop, wait_over, t);
	loop_timer_set(t->timer, MIN(MAX(call_time_left_ms(t->call) - 500, 1), WAIT_MS));
}

void task_refuse(struct task *t, int err, json_t *details, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	t->refusal.message = xvasprintf(fmt, ap);
	va_end(ap);
	t->refusal.err = err;
	t->refusal.details = details;
	server_wait(t->s, refused, t);
}

void task_end(struct task *t)
{
	struct server *s = t->s;
	struct manager *m = s->m;
	if (t->call) /* nobody forgets a call; this is what it was all about */
		server_send(s, TAKE_PTR(t->call), 0);
	task_release(t);
	if (t->run == run_observe)
		s->watched = false; /* also one that did not come to it */
	s->running = NULL;
	task_free(t);
	m->under_way--;
	if (!list_empty(&s->tasks))
		kick(s);
	else
		unload(s);
	manager_idle(m);
}

/* Nothing is left to do for what waits on a server that is no more. */
static void end_gone(struct server *s, int err, int code)
{
	struct task *t = s->running;
	if (t->call) {
		if (code == ERR_SERVER_NOT_FOUND)
			call_fail(TAKE_PTR(t->call), code, NULL);
		else
			store_fail(TAKE_PTR(t->call), err, code);
	}
	task_end(t);
}

static void begin(struct server *s);

static void loaded(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct server *s = arg;
	if (result == STORE_FAILED) {
		end_gone(s, err, ERR_INTERNAL);
		return;
	}
	if (result != STORE_OK) {
		if (!s->gone)
			server_drop(s);
		end_gone(s, 0, ERR_SERVER_NOT_FOUND);
		return;
	}
	s->doc = doc_parse(d->text->data, d->text->len, NULL, 0);
	server_sync(s, s->doc);
	begin(s);
}

static void fetch(struct server *s)
{
	struct store *store = s->m->env.store;
	if (!s->m->one_host && s->stored_version == s->version && !s->writing) {
		json_decref(s->doc); /* others may have written since */
		s->doc = NULL;
	}
	if (s->m->one_host && !s->doc && (s->doc = json_incref(store_peek_doc(store, COL_SERVERS, s->id))))
		server_sync(s, s->doc);
	if (s->doc)
		begin(s);
	else
		store_get(store, COL_SERVERS, s->id, loaded, s);
}

static void poll_again(void *arg)
{
	struct server *s = arg;
	s->waiting = false;
	fetch(s);
}

/* Another manager is at it. Who wants no more than that it runs has what it wants; all others come second and wait for the
 * end; what is our own doing is left to it. */
static void come_second(struct server *s)
{
	struct task *t = s->running;
	if (!t->asked && (t->run == run_observe || t->run == run_start)) {
		task_end(t);
	} else if (!t->asked) {
		t->run(t); /* it says something, and does nothing */
	} else if (t->run == run_start && !t->replace && !t->wait && s->status != SERVER_STOPPING) {
		task_answer(t, t->fresh ? 201 : 202);
		task_end(t);
	} else {
		task_wait(t);
		if (!s->poll)
			s->poll = loop_timer_new(s->m->env.loop, poll_again, s);
		s->waiting = true;
		loop_timer_set(s->poll, POLL_MS);
	}
}

static void begin(struct server *s)
{
	struct task *t = s->running;
	s->overtaken = false;
	if (busy_elsewhere(s) && !(t->fresh && !t->races))
		come_second(s);
	else
		t->run(t);
}

void task_again(struct task *t)
{
	if (++t->races > TASKS_MAX)
		task_fail(t, ERR_BUSY, "others changed this server again and again; try again in a moment");
	else if (!t->asked)
		task_end(t);
	else
		fetch(t->s);
}

static void kick(struct server *s)
{
	if (s->running)
		return;
	struct list *first = list_take_first(&s->tasks);
	if (!first) {
		unload(s);
		return;
	}
	s->ntasks--;
	s->running = CONTAINER_OF(first, struct task, node);
	if (s->gone) {
		end_gone(s, 0, ERR_SERVER_NOT_FOUND);
		return;
	}
	fetch(s);
}

void task_queue(struct server *s, struct task *t)
{
	if (t->call && s->ntasks >= TASKS_MAX) {
		call_fail(TAKE_PTR(t->call), ERR_CONFLICT,
			  "%d operations wait on this server already; look at its status and try again", TASKS_MAX);
		task_free(t);
		return;
	}
	t->s = s;
	s->m->under_way++;
	s->ntasks++;
	list_append(&s->tasks, &t->node);
	kick(s);
}

/* --- finding a server for a call */

struct sending {
	struct call *call;
	int status;
};

static void sent(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct sending *w = arg;
	json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (!doc) {
		if (result == STORE_FAILED)
			store_fail(w->call, err, ERR_INTERNAL);
		else
			call_fail(w->call, ERR_SERVER_NOT_FOUND, NULL);
		return;
	}
	call_set_version(w->call, d->version);
	if (w->status)
		call_ok_status(w->call, w->status, doc);
	else
		call_ok(w->call, doc);
}

void server_send(struct server *s, struct call *c, int status)
{
	if (s->doc) {
		call_set_version(c, s->version);
		if (status)
			call_ok_status(c, status, json_incref(s->doc));
		else
			call_ok(c, json_incref(s->doc));
		return;
	}
	struct sending *w = XNEW(struct sending);
	*w = (struct sending){ c, status };
	store_get(s->m->env.store, COL_SERVERS, s->id, sent, w);
}

void store_fail(struct call *c, int err, int code)
{
	if (err == -ERR_SERVER_NOT_FOUND)
		call_fail(c, -err, NULL);
	else if (store_unsure(err) || err == -ERR_UNAVAILABLE || err == -ERR_BUSY)
		call_fail(c, -err, "the store did not take it in time; try again as Retry-After says");
	else
		call_fail(c, err ? code : ERR_UNAVAILABLE, "the store failed (%s); the log has more", err_text(err));
}

struct parked {
	struct list node;
	struct manager *m;
	struct call *call;
	call_handler again;
};

bool manager_ready(struct manager *m, struct call *c, call_handler again)
{
	if (m->draining) {
		call_fail(c, ERR_UNAVAILABLE, "the program is stopping; try again in a moment");
		return false;
	}
	if (m->loaded)
		return true;
	if (!store_healthy(m->env.store, NULL) || m->nparked >= PARKED_MAX) {
		call_fail(c, ERR_UNAVAILABLE, "the servers have not been read from the store yet; try again in a moment");
		return false;
	}
	struct parked *p = XNEW(struct parked);
	p->m = m;
	p->call = c;
	p->again = again;
	list_append(&m->parked, &p->node);
	m->nparked++;
	return false;
}

void manager_unpark(struct manager *m)
{
	struct list *n;
	while ((n = list_take_first(&m->parked))) {
		struct parked *p = CONTAINER_OF(n, struct parked, node);
		m->nparked--;
		p->again(p->call, m);
		free(p);
	}
}

/* A record that is not here may still be in the store: another manager made it, or an answer was lost on the way. */
static void looked_up(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct parked *p = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	struct server *s = map_get(p->m->servers, call_param(p->call, "server_id"));
	if (doc && !s)
		s = server_add(p->m, doc);
	if (result == STORE_FAILED)
		store_fail(p->call, err, ERR_INTERNAL);
	else if (doc && s && !s->unborn && !s->gone)
		p->again(p->call, p->m);
	else
		call_fail(p->call, ERR_SERVER_NOT_FOUND, NULL);
}

struct server *server_of(struct manager *m, struct call *c, call_handler again)
{
	if (!manager_ready(m, c, again))
		return NULL;
	struct server *s = server_find(m, call_param(c, "server_id"));
	if (s && may_see(call_caller(c), s->owner->id))
		return s;
	if (s) {
		call_fail(c, ERR_SERVER_NOT_FOUND, NULL);
		return NULL;
	}
	struct parked *p = XNEW(struct parked);
	p->m = m;
	p->call = c;
	p->again = again;
	store_get(m->env.store, COL_SERVERS, call_param(c, "server_id"), looked_up, p);
	return NULL;
}

void manager_idle(struct manager *m)
{
	bool busy = m->under_way || m->loading || m->looking || m->sweeping;
	if (m->draining && !busy && m->drained) {
		void (*done)(void *) = m->drained;
		m->drained = NULL;
		done(m->drained_arg);
	}
}
