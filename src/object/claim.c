#include "object/set.h"

/* Claims. An operation begins by writing its state on the version that was read; of two processes, the second one finds another version.
 * During the operation its process renews the claim by raising the version. A claim that is not renewed is abandoned. */

#define ACCEPT_MS 10

bool object_busy_elsewhere(const struct object *o)
{
	return !o->set->env.alone && object_between(o) && o->version != o->left_version &&
	       clock_mono_us() - o->seen_us < o->set->busy_ms * 1000;
}

static void claim_renew(void *arg)
{
	struct object *o = arg;
	if (!o->running || o->gone || o->overtaken || !object_between(o))
		return;
	if (!o->writing && o->doc && o->stored_version == o->version)
		object_bump(o);
	loop_timer_set(o->renew, o->set->renew_ms);
}

static void claim_renew_begin(struct object *o)
{
	if (!o->renew)
		o->renew = loop_timer_new(o->set->env.loop, claim_renew, o);
	loop_timer_set(o->renew, o->set->renew_ms);
}

static void claim_accept(void *arg)
{
	struct object_task *t = arg;
	t->accepted(0, t);
}

/* Waits a moment, so that an operation that fails at once is answered with its failure and not with 202. */
static void claim_accept_soon(struct object_task *t)
{
	t->timer = loop_timer_new(t->object->set->env.loop, claim_accept, t);
	loop_timer_set(t->timer, ACCEPT_MS);
}

static void claim_done(int err, void *arg)
{
	struct object_task *t = arg;
	struct object *o = t->object;
	if (err) {
		object_revert(o);
		object_task_fail_store(t, err, t->store_code ? t->store_code : ERR_INTERNAL);
		return;
	}
	if (o->overtaken) {
		object_task_again(t);
		return;
	}
	t->claimed = true;
	claim_renew_begin(o);
	t->go(t);
	if (t->call && !t->wait && !t->fresh)
		claim_accept_soon(t);
	else
		t->accepted(0, t);
}

void object_task_claim(struct object_task *t, void (*go)(struct object_task *t), object_durable accepted)
{
	struct object *o = t->object;
	if (o->set->env.alone) {
		go(t);
		object_wait(o, accepted, t);
		return;
	}
	t->go = go;
	t->accepted = accepted;
	if (o->stored_version == o->version) {
		o->strict = true; /* the stored state is already that of the operation: only the version decides between processes */
		object_bump(o);
	}
	object_wait(o, claim_done, t);
}

void object_task_release(struct object_task *t)
{
	struct object *o = t->object;
	if (o->set->env.alone)
		return;
	loop_timer_free(o->renew);
	o->renew = NULL;
	o->left_version = t->claimed && !o->overtaken && !o->gone && object_between(o) ? o->version : 0;
}
