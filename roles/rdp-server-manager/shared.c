#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"

/* Several managers on one store. An operation begins with a claim: its status, written onto the version that was read. Who
 * was second finds another version, and comes second. While it lasts its manager raises the version now and then; one that
 * stands still belongs to nobody any more, and is looked at by the manager that has the lease of the server's node, which asks
 * the agent first. On a store of one host's own there is one manager, and nothing of this. */

bool busy_elsewhere(const struct server *s)
{
	return !s->m->one_host && in_between(s->status) && s->version != s->left_version &&
	       clock_mono_us() - s->seen_us < s->m->busy_ms * 1000;
}

/* --- claims */

#define ACCEPT_MS 10

static void renew(void *arg)
{
	struct server *s = arg;
	if (!s->running || s->gone || s->overtaken || !in_between(s->status))
		return;
	if (!s->writing && s->doc && s->stored_version == s->version)
		server_bump(s);
	loop_timer_set(s->renew, s->m->renew_ms);
}

/* An agent that is not there is heard of at once: then that is the answer, and not that it was accepted. */
static void accept(void *arg)
{
	struct task *t = arg;
	t->accepted(0, t);
}

static void accept_soon(struct task *t)
{
	t->timer = loop_timer_new(t->s->m->env.loop, accept, t);
	loop_timer_set(t->timer, ACCEPT_MS);
}

static void claimed(int err, void *arg)
{
	struct task *t = arg;
	struct server *s = t->s;
	if (err) {
		server_revert(s);
		if (t->call)
			store_fail(TAKE_PTR(t->call), err, t->remove ? ERR_SERVER_DELETE : ERR_INTERNAL);
		task_end(t);
		return;
	}
	if (s->overtaken) {
		task_again(t);
		return;
	}
	t->claimed = true;
	if (!s->renew)
		s->renew = loop_timer_new(s->m->env.loop, renew, s);
	loop_timer_set(s->renew, s->m->renew_ms);
	t->go(t);
	if (t->call && !t->wait && !t->fresh && !t->remove)
		accept_soon(t);
	else
		t->accepted(0, t);
}

void task_claim(struct task *t, void (*go)(struct task *t), server_durable accepted)
{
	struct server *s = t->s;
	if (s->m->one_host) {
		go(t);
		server_wait(s, accepted, t);
		return;
	}
	t->go = go;
	t->accepted = accepted;
	if (s->stored_version == s->version) {
		s->strict = true; /* the status says already what is to be done: the version alone tells who does it */
		server_bump(s);
	}
	server_wait(s, claimed, t);
}

void task_release(struct task *t)
{
	struct server *s = t->s;
	if (s->m->one_host)
		return;
	loop_timer_free(s->renew);
	s->renew = NULL;
	s->left_version = t->claimed && !s->overtaken && !s->gone && in_between(s->status) ? s->version : 0;
}
