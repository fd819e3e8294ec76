#include "bus/call.h"

#include <assert.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/fault.h"
#include "lucid/map.h"
#include "lucid/metrics.h"
#include "lucid/str.h"

#define BINDINGS 1024 /* a power of two, well above the number of rows */
#define SLOT_BITS 20
#define SWEEP_MS 50
#define SPARE_CALLS 256
#define DEFAULT_DEADLINE_MS 30000

struct binding {
	const struct op *op;
	call_handler handler;
	void *ctx;
};

enum { VIA_LOCAL, VIA_PAIR, VIA_REST, VIA_COUNT };
static const char *const via_names[VIA_COUNT] = { "local", "pair", "rest" };

struct bus {
	struct loop *loop;
	struct binding bindings[BINDINGS];
	struct map *routes; /* role → transport */
	struct map *nodes;  /* node → transport, to the agents */
	char *node;	    /* NODE_NAME of this process */
	struct map *local;  /* the roles that this process serves */
	struct list open;   /* calls without an answer */
	size_t nopen;
	struct call **slots;
	uint32_t *generations, *free_slots;
	size_t nslots, nfree;
	struct list spare; /* freed calls, for reuse */
	size_t nspare;
	struct loop_timer *sweep;
	struct metric *durations[VIA_COUNT], *totals[VIA_COUNT], *refused;
	struct bus_events *events;
};

struct bus_events *bus_events_of(struct bus *b)
{
	return b->events;
}

static size_t via_index(const struct transport *t)
{
	for (size_t i = 1; t && i < VIA_COUNT; i++)
		if (strcmp(t->name, via_names[i]) == 0)
			return i;
	return VIA_LOCAL;
}

/* --- rows and routes */

static struct binding *binding_of(struct bus *b, const struct op *op)
{
	size_t i = ((uintptr_t)op >> 4) * 0x9e3779b1u & (BINDINGS - 1);
	while (b->bindings[i].op && b->bindings[i].op != op)
		i = (i + 1) & (BINDINGS - 1);
	return &b->bindings[i];
}

void bus_serve(struct bus *b, const struct op *op, call_handler handler, void *ctx)
{
	struct binding *at = binding_of(b, op);
	assert(!at->op);
	*at = (struct binding){ op, handler, ctx };
	map_put(b->local, op->role, b, NULL);
}

bool bus_is_local(const struct bus *b, const char *role)
{
	return map_get(b->local, role);
}

void bus_route(struct bus *b, const char *role, struct transport *t)
{
	if (t)
		map_put(b->routes, role, t, NULL);
	else
		map_remove(b->routes, role);
}

void bus_set_node(struct bus *b, const char *node)
{
	free(b->node);
	b->node = xstrdup(node);
}

void bus_route_node(struct bus *b, const char *node, struct transport *t)
{
	if (t)
		map_put(b->nodes, node, t, NULL);
	else
		map_remove(b->nodes, node);
}

/* --- allocation of calls. Memory and slots are reused; an id has a generation, so that a stale id does not match a new call */

static void more_slots(struct bus *b)
{
	size_t more = b->nslots ? b->nslots : 64;
	assert(b->nslots + more <= 1u << SLOT_BITS);
	b->slots = xrealloc(b->slots, (b->nslots + more) * sizeof *b->slots);
	b->generations = xrealloc(b->generations, (b->nslots + more) * sizeof *b->generations);
	b->free_slots = xrealloc(b->free_slots, (b->nslots + more) * sizeof *b->free_slots);
	for (size_t i = 0; i < more; i++) {
		b->slots[b->nslots + i] = NULL;
		b->generations[b->nslots + i] = 1;
		b->free_slots[b->nfree++] = (uint32_t)(b->nslots + i);
	}
	b->nslots += more;
}

static struct call *call_new(struct bus *b)
{
	struct list *n = list_take_first(&b->spare);
	struct call *c;
	if (n) {
		b->nspare--;
		c = CONTAINER_OF(n, struct call, node);
		memset(c, 0, offsetof(struct call, room));
	} else {
		c = XNEW(struct call);
	}
	if (!b->nfree)
		more_slots(b);
	uint32_t slot = b->free_slots[--b->nfree];
	b->slots[slot] = c;
	c->bus = b;
	c->id = (uint64_t)b->generations[slot] << SLOT_BITS | slot;
	list_init(&c->node);
	return c;
}

static void call_free(struct call *c)
{
	struct bus *b = c->bus;
	uint32_t slot = (uint32_t)(c->id & ((1u << SLOT_BITS) - 1));
	if (++b->generations[slot] == 0)
		b->generations[slot] = 1;
	b->slots[slot] = NULL;
	b->free_slots[b->nfree++] = slot;
	json_decref(c->query);
	json_decref(c->body);
	json_decref(c->reply.doc);
	json_decref(c->reply.details);
	blob_unref(c->reply.blob);
	source_unref(c->reply.source);
	free(c->message);
	free(c->location);
	free(c->disposition);
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		if (c->params[i] && (c->params[i] < c->room || c->params[i] >= c->room + sizeof c->room))
			free((void *)(uintptr_t)c->params[i]);
	if (b->nspare >= SPARE_CALLS) {
		free(c);
		return;
	}
	b->nspare++;
	list_prepend(&b->spare, &c->node);
}

static struct call *call_find(const struct bus *b, uint64_t id)
{
	size_t slot = id & ((1u << SLOT_BITS) - 1);
	struct call *c = slot < b->nslots ? b->slots[slot] : NULL;
	return c && c->id == id ? c : NULL;
}

static void copy_params(struct call *c, const struct call_args *a)
{
	size_t used = 0;
	for (size_t i = 0; i < OP_MAX_PARAMS && a->params[i]; i++) {
		size_t n = strlen(a->params[i]) + 1;
		if (used + n <= sizeof c->room) {
			c->params[i] = memcpy(c->room + used, a->params[i], n);
			used += n;
		} else {
			c->params[i] = xstrdup(a->params[i]);
		}
	}
}

/* --- the end of a call */

static void call_finish(struct loop_task *t)
{
	struct call *c = CONTAINER_OF(t, struct call, task);
	struct bus *b = c->bus;
	metric_add(b->totals[c->via_index], 1);
	metric_observe(b->durations[c->via_index], (double)(clock_mono_us() - c->start_us) / 1e6);
	if (!c->abandoned && c->done)
		c->done(&c->reply, c->arg);
	call_free(c);
}

static void on_late(void *arg)
{
	struct call *c = arg;
	loop_timer_free(c->late);
	loop_defer(c->bus->loop, &c->task);
}

static void close_call(struct call *c)
{
	assert(!c->answered);
	c->answered = true;
	list_remove(&c->node);
	c->bus->nopen--;
	loop_task_init(&c->task, call_finish);
	int64_t late_ms = fault_delay_ms("bus.answer");
	if (!late_ms) {
		loop_defer(c->bus->loop, &c->task);
		return;
	}
	c->late = loop_timer_new(c->bus->loop, on_late, c);
	loop_timer_set(c->late, late_ms);
}

void call_answer(struct call *c, const struct reply *r)
{
	struct reply out = *r;
	free(c->message);
	c->message = r->message ? xstrdup(r->message) : r->err ? xstrdup(err_text(r->err)) : NULL;
	if (r->location) {
		free(c->location);
		c->location = xstrdup(r->location);
	}
	out.message = c->message;
	if (r->disposition) {
		free(c->disposition);
		c->disposition = xstrdup(r->disposition);
	}
	out.disposition = c->disposition;
	out.location = c->location;
	out.version = r->version ? r->version : c->reply.version;
	if (!r->headers[0].name)
		memcpy(out.headers, c->reply.headers, sizeof out.headers);
	c->reply = out;
	close_call(c);
}

/* The caller does not wait any more: notify the handler or transport. */
static void call_abandon(struct call *c)
{
	if (c->abandoned)
		return;
	c->abandoned = true;
	if (c->answered)
		return;
	if (c->on_cancel)
		c->on_cancel(c, c->cancel_arg);
	else if (c->via && c->via->cancel)
		c->via->cancel(c->via, c);
}

void bus_cancel(struct bus *b, uint64_t id)
{
	struct call *c = call_find(b, id);
	if (c)
		call_abandon(c);
}

static void on_sweep(void *arg)
{
	struct bus *b = arg;
	int64_t now = clock_mono_us();
	/* collect the ids first: a callback may answer other calls or begin new ones */
	struct call *c;
	size_t n = 0;
	uint64_t *due = b->nopen ? xcalloc(b->nopen, sizeof *due) : NULL;
	LIST_FOREACH(c, &b->open, node)
		if (!c->abandoned && now >= c->deadline_us)
			due[n++] = c->id;
	for (size_t i = 0; i < n; i++) {
		if (!(c = call_find(b, due[i])) || c->answered)
			continue;
		struct reply r = { .err = ERR_DEADLINE, .message = err_text(ERR_DEADLINE) };
		call_done done = c->done;
		void *done_arg = c->arg;
		call_abandon(c);
		if (done)
			done(&r, done_arg);
	}
	free(due);
	if (!list_empty(&b->open))
		loop_timer_set(b->sweep, SWEEP_MS);
}

/* --- the start of a call */

static void call_fill(struct call *c, const struct call_args *a)
{
	static const struct caller itself = { .sub = "", .roles = CALLER_SERVICE, .can_create_sessions = true };
	c->op = a->op;
	c->caller = a->caller ? *a->caller : itself;
	copy_params(c, a);
	c->if_match = a->if_match;
	if (a->request_id)
		snprintf(c->request_id, sizeof c->request_id, "%s", a->request_id);
	if (a->trace)
		snprintf(c->trace, sizeof c->trace, "%s", a->trace);
	c->start_us = clock_mono_us();
	unsigned ms = a->deadline_ms ? a->deadline_ms : a->op->deadline_ms ? a->op->deadline_ms : DEFAULT_DEADLINE_MS;
	c->deadline_us = c->start_us + (int64_t)ms * 1000;
	c->hops = a->hops;
	c->accepts_zstd = a->accepts_zstd;
}

uint64_t bus_call(struct bus *b, const struct call_args *a, call_done on_done, void *arg)
{
	struct call *c = call_new(b);
	uint64_t id = c->id;
	call_fill(c, a);
	c->done = on_done;
	c->arg = arg;
	list_append(&b->open, &c->node);
	if (++b->nopen > BUS_MAX_CALLS) {
		metric_add(b->refused, 1);
		call_fail(c, ERR_BUSY, NULL);
		return id;
	}
	if (call_check(c, a) < 0)
		return id;
	bool elsewhere = a->node && !str_eq(a->node, b->node);
	const struct binding *to = elsewhere ? NULL : binding_of(b, a->op);
	if (!to || !to->op)
		c->via = elsewhere ? NULL : map_get(b->routes, a->op->role);
	if (!c->via && a->node && (!to || !to->op)) /* the agent of our own node may run in another process too */
		c->via = map_get(b->nodes, a->node);
	c->via_index = via_index(c->via);
	if (to && to->op)
		to->handler(c, to->ctx);
	else if (c->via)
		c->via->send(c->via, c);
	else if (elsewhere)
		call_fail(c, ERR_UNAVAILABLE, "node %s is not registered, or has no URL; GET /api/v1/rdp/nodes lists the nodes", a->node);
	else
		call_fail(c, ERR_UNAVAILABLE, "the role %s does not run in this process, and its URL setting is empty", a->op->role);
	/* c may have been answered and freed already, so only the list is examined */
	if (!list_empty(&b->open) && !loop_timer_pending(b->sweep))
		loop_timer_set(b->sweep, SWEEP_MS);
	return id;
}

size_t bus_calls_open(const struct bus *b)
{
	return b->nopen;
}

/* --- life */

struct bus *bus_new(struct loop *l)
{
	struct bus *b = XNEW(struct bus);
	b->loop = l;
	b->routes = map_new(16);
	b->local = map_new(16);
	b->nodes = map_new(256);
	list_init(&b->open);
	list_init(&b->spare);
	b->sweep = loop_timer_new(l, on_sweep, b);
	b->events = bus_events_new(l);
	struct metric_family *total = metric_family("rdp_calls_total", METRIC_COUNTER, "transport", "Completed calls of operations, by transport.");
	struct metric_family *time = metric_family("rdp_call_duration_seconds", METRIC_HISTOGRAM, "transport",
						   "Time from a call of an operation until its response, in seconds, by transport.");
	for (size_t i = 0; i < VIA_COUNT; i++) {
		b->totals[i] = metric_with(total, via_names[i]);
		b->durations[i] = metric_with(time, via_names[i]);
	}
	b->refused = metric_series(metric_family("rdp_calls_refused_total", METRIC_COUNTER, NULL,
						 "Calls of operations refused because too many were in flight."), NULL);
	return b;
}

void bus_free(struct bus *b)
{
	if (!b)
		return;
	struct list *n;
	while ((n = list_take_first(&b->spare)))
		free(CONTAINER_OF(n, struct call, node));
	bus_events_free(b->events);
	loop_timer_free(b->sweep);
	map_free(b->routes, NULL);
	map_free(b->local, NULL);
	map_free(b->nodes, NULL);
	free(b->node);
	free(b->slots);
	free(b->generations);
	free(b->free_slots);
	free(b);
}
