#include "lease/leases.h"

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* A lease has one store operation at a time. The holder writes; other processes read, and watch whether the version changes. */

struct leases {
	struct leases_env env;
	char *holder;
	int64_t beat_ms, safe_ms, lost_ms;
	bool begun;
	struct list all;
};

struct lease {
	struct list node;
	struct leases *l;
	char *name;
	void (*on_change)(bool held, void *arg);
	void *arg;
	struct loop_timer *step, *lapse;
	bool held, busy, dropped, telling;
	int64_t version;  /* of the document as we last wrote it; 0: it is not ours */
	int64_t asked_ms; /* when the current operation began; the lease is held from then, not from the answer */
	int64_t until_ms; /* end of our hold, unless it is renewed */
	int64_t seen_version, seen_ms; /* another holder's version, and since when it has not changed */
};

static void lease_free(struct lease *s)
{
	list_remove(&s->node);
	loop_timer_free(s->step);
	loop_timer_free(s->lapse);
	free(s->name);
	free(s);
}

bool lease_held(const struct lease *s)
{
	return s->held && (!s->l->env.shared || clock_mono_ms() < s->until_ms);
}

/* --- release */

static void released(enum store_result result, size_t index, int err, void *arg)
{
	lease_free(arg); /* also if the write failed: then others take the lease over when it has expired */
}

static json_t *lease_doc(const struct lease *s, const char *holder, int64_t version)
{
	json_t *doc = json_object();
	doc_set_str(doc, "holder", holder);
	doc_set_int(doc, "beat", version);
	doc_set_int(doc, "version", version);
	return doc;
}

static void lease_give_back(struct lease *s)
{
	if (!s->version) { /* not ours, as far as is known */
		lease_free(s);
		return;
	}
	/* not deleted: versions of a lease never restart, so that a late write cannot match a new one */
	_cleanup_(doc_unrefp) json_t *doc = lease_doc(s, "", s->version + 1);
	struct store_op op = { STORE_REPLACE, COL_LEASES, s->name, s->version, doc };
	store_write(s->l->env.store, &op, 1, released, s);
}

/* --- holding */

/* False: on_change dropped the lease, which may not be used any more. */
static bool change(struct lease *s, bool held)
{
	if (s->held == held)
		return true;
	s->held = held;
	if (!held)
		loop_timer_clear(s->lapse);
	log_info("cluster", held ? "the lease %s is held here" : "the lease %s is no longer held here", s->name);
	s->telling = true;
	s->on_change(held, s->arg);
	s->telling = false;
	if (s->dropped && !s->busy) {
		lease_give_back(s);
		return false;
	}
	return !s->dropped;
}

static void lapsed(void *arg)
{
	struct lease *s = arg;
	int64_t left = s->until_ms - clock_mono_ms();
	if (!s->held)
		return;
	if (left > 0)
		loop_timer_set(s->lapse, left);
	else
		change(s, false);
}

static void again(struct lease *s, int64_t ms)
{
	loop_timer_set(s->step, ms);
}

static void written(enum store_result result, size_t index, int err, void *arg)
{
	struct lease *s = arg;
	s->busy = false;
	if (result == STORE_OK) {
		s->version++;
		s->until_ms = s->asked_ms + s->l->safe_ms;
	} else if (result != STORE_FAILED) {
		s->version = 0; /* another process was first, or an earlier write of ours took effect whose answer was lost */
	}
	if (s->dropped) {
		lease_give_back(s);
		return;
	}
	int64_t left = s->until_ms - clock_mono_ms();
	if (result == STORE_OK && left > 0) {
		loop_timer_set(s->lapse, left);
		if (!change(s, true))
			return;
	}
	again(s, s->version || result == STORE_FAILED ? s->l->beat_ms : 0);
}

/* Renews the lease, or takes it over at that version; 0: it does not exist yet. */
static void write_over(struct lease *s, int64_t version)
{
	_cleanup_(doc_unrefp) json_t *doc = lease_doc(s, s->l->holder, version + 1);
	struct store_op op = { version ? STORE_REPLACE : STORE_INSERT, COL_LEASES, s->name, version, doc };
	s->busy = true;
	s->version = version;
	s->asked_ms = clock_mono_ms();
	store_write(s->l->env.store, &op, 1, written, s);
}

static void watch(struct lease *s, int64_t version)
{
	int64_t now = clock_mono_ms();
	if (version != s->seen_version) {
		s->seen_version = version;
		s->seen_ms = now;
	}
	if (now - s->seen_ms >= s->l->lost_ms)
		write_over(s, version);
	else
		again(s, s->l->beat_ms);
}

static void looked(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct lease *s = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	const char *holder = doc_str(doc, "holder", "?");
	bool ours = result == STORE_OK && str_eq(holder, s->l->holder);
	s->busy = false;
	if (s->dropped) {
		s->version = ours ? d->version : 0;
		lease_give_back(s);
		return;
	}
	if (result == STORE_FAILED) {
		again(s, s->l->beat_ms);
		return;
	}
	if (!ours) {
		s->version = 0;
		if (!change(s, false))
			return;
	}
	if (result == STORE_MISSING)
		write_over(s, 0);
	else if (ours || !*holder)
		write_over(s, d->version);
	else
		watch(s, d->version);
}

static void lease_read(struct lease *s)
{
	s->busy = true;
	store_get(s->l->env.store, COL_LEASES, s->name, looked, s);
}

static void step(void *arg)
{
	struct lease *s = arg;
	if (s->busy)
		return;
	if (!s->l->env.shared)
		change(s, true);
	else if (s->version && s->held)
		write_over(s, s->version);
	else
		lease_read(s);
}

struct lease *lease_want(struct leases *l, const char *name, void (*on_change)(bool held, void *arg), void *arg)
{
	struct lease *s = XNEW(struct lease);
	s->l = l;
	s->name = xstrdup(name);
	s->on_change = on_change;
	s->arg = arg;
	s->step = loop_timer_new(l->env.loop, step, s);
	s->lapse = loop_timer_new(l->env.loop, lapsed, s);
	list_append(&l->all, &s->node);
	if (l->begun)
		again(s, 0);
	return s;
}

void lease_drop(struct lease *s)
{
	if (!s)
		return;
	s->dropped = true;
	s->held = false;
	loop_timer_clear(s->step);
	loop_timer_clear(s->lapse);
	if (!s->busy && !s->telling)
		lease_give_back(s);
}

/* --- all of them */

struct leases *leases_new(const struct leases_env *env)
{
	struct leases *l = XNEW(struct leases);
	l->env = *env;
	l->env.holder = l->holder = xstrdup(env->holder);
	l->beat_ms = env->beat_ms ? env->beat_ms : LEASE_BEAT_MS;
	l->lost_ms = env->lost_ms ? env->lost_ms : l->beat_ms * LEASE_LOST_MS / LEASE_BEAT_MS;
	l->safe_ms = l->lost_ms * LEASE_SAFE_MS / LEASE_LOST_MS;
	list_init(&l->all);
	return l;
}

void leases_begin(struct leases *l)
{
	struct lease *s;
	l->begun = true;
	LIST_FOREACH(s, &l->all, node)
		again(s, 0);
}

void leases_free(struct leases *l)
{
	struct lease *s, *tmp;
	if (!l)
		return;
	LIST_FOREACH_SAFE(s, tmp, &l->all, node)
		lease_free(s);
	free(l->holder);
	free(l);
}
