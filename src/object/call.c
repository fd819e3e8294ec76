#include "object/set.h"

/* Calls on objects: parks them until the first pass has ended, finds their object, and responds. */

struct parked {
	struct list node;
	struct objects *set;
	struct call *call;
	call_handler again;
	const char *param;
};

static struct parked *park_new(struct objects *set, struct call *c, call_handler again)
{
	struct parked *p = XNEW(struct parked);
	p->set = set;
	p->call = c;
	p->again = again;
	return p;
}

bool objects_ready(struct objects *set, struct call *c, call_handler again)
{
	if (set->draining) {
		call_fail(c, ERR_UNAVAILABLE, "the program is stopping; retry in a few seconds");
		return false;
	}
	if (set->loaded)
		return true;
	if (!store_healthy(set->env.store, NULL) || set->nparked >= OBJECT_PARKED_MAX) {
		call_fail(c, ERR_UNAVAILABLE, "the %s have not been read from the store yet; retry in a few seconds", set->kind->plural);
		return false;
	}
	struct parked *p = park_new(set, c, again);
	list_append(&set->parked, &p->node);
	set->nparked++;
	return false;
}

void objects_unpark(struct objects *set)
{
	struct list *n;
	while ((n = list_take_first(&set->parked))) {
		struct parked *p = CONTAINER_OF(n, struct parked, node);
		set->nparked--;
		p->again(p->call, set->env.ctx);
		free(p);
	}
}

bool object_visible(const struct caller *c, const char *owner)
{
	return caller_is_admin(c) || str_eq(c->sub, owner);
}

/* An object without a record may still be in the store: another process created it, or the result of its first write was lost. */
static void looked_up(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct parked *p = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	struct object *o = map_get(p->set->objects, call_param(p->call, p->param));
	if (doc && !o)
		o = objects_add(p->set, doc);
	if (result == STORE_FAILED)
		objects_fail_call(p->set, p->call, err, ERR_INTERNAL);
	else if (doc && o && !o->unborn && !o->gone)
		p->again(p->call, p->set->env.ctx);
	else
		call_fail(p->call, p->set->kind->missing, NULL);
}

struct object *objects_of_call(struct objects *set, struct call *c, const char *param, call_handler again)
{
	if (!objects_ready(set, c, again))
		return NULL;
	struct object *o = objects_find(set, call_param(c, param));
	if (o && (set->kind->visible ? set->kind->visible(o, call_caller(c)) : object_visible(call_caller(c), o->owner->id)))
		return o;
	if (o) {
		call_fail(c, set->kind->missing, NULL);
		return NULL;
	}
	struct parked *p = park_new(set, c, again);
	p->param = param;
	store_get(set->env.store, set->kind->collection, call_param(c, param), looked_up, p);
	return NULL;
}

/* --- responses */

struct sending {
	const struct objects *set;
	struct call *call;
	int status;
};

static void send_doc(struct call *c, int64_t version, int status, json_t *consume)
{
	call_set_version(c, version);
	if (status)
		call_ok_status(c, status, consume);
	else
		call_ok(c, consume);
}

static void send_read(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct sending *w = arg;
	json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc)
		send_doc(w->call, d->version, w->status, doc);
	else if (result == STORE_FAILED)
		objects_fail_call(w->set, w->call, err, ERR_INTERNAL);
	else
		call_fail(w->call, w->set->kind->missing, NULL);
}

void object_send(struct object *o, struct call *c, int status)
{
	if (o->doc) {
		send_doc(c, o->version, status, json_incref(o->doc));
		return;
	}
	struct sending *w = XNEW(struct sending);
	*w = (struct sending){ o->set, c, status };
	store_get(o->set->env.store, o->set->kind->collection, o->id, send_read, w);
}

/* The message names the reason that the store reports, such as a full disk. */
void objects_fail_call(const struct objects *set, struct call *c, int err, int code)
{
	const char *why = NULL;
	if (err == -set->kind->missing)
		call_fail(c, -err, NULL);
	else if (err == -ERR_UNAVAILABLE && !store_healthy(set->env.store, &why) && *why)
		call_fail(c, -err, "the store refused the write: %s; retry after the time given in Retry-After", why);
	else if (store_unsure(err) || err == -ERR_UNAVAILABLE || err == -ERR_BUSY)
		call_fail(c, -err, "the write to the store timed out; retry after the time given in Retry-After");
	else
		call_fail(c, err ? code : ERR_UNAVAILABLE, "the store failed (%s); the log has the cause under this request id", err_text(err));
}
