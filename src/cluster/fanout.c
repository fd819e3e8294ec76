#include "lucid/fanout.h"

#include "lucid/clock.h"
#include "lucid/list.h"
#include "lucid/nodes.h"

#define SPARE_MS 500 /* reserved of the caller's deadline for the response itself */

struct asked {
	struct list node;
	struct fanout *f;
	const struct op *op;
	bool as; /* with the identity of the caller of the whole */
	char *host, *param;
	json_t *query;
	fanout_reply fn;
};

struct fanout {
	struct bus *bus;
	struct call_args as; /* identity, request id and trace of the call it serves */
	struct caller who;
	char *request_id, *trace;
	int64_t until_ms;
	struct list waiting;
	size_t n, open;
	bool going, sending;
	json_t *missed;
	void (*done)(void *arg);
	void *arg;
};

static void pump(struct fanout *f);

struct fanout *fanout_new(struct bus *b, const struct call *c, void (*done)(void *arg), void *arg)
{
	struct fanout *f = XNEW(struct fanout);
	int64_t left = call_time_left_ms(c) - SPARE_MS;
	f->bus = b;
	call_onward(c, &f->as);
	f->who = *f->as.caller;
	f->as.request_id = f->request_id = xstrdup(f->as.request_id);
	f->as.trace = f->trace = f->as.trace ? xstrdup(f->as.trace) : NULL;
	f->until_ms = clock_mono_ms() + MIN(MAX(left, 1), FANOUT_MS);
	list_init(&f->waiting);
	f->missed = json_array();
	f->done = done;
	f->arg = arg;
	return f;
}

static void asked_free(struct asked *a)
{
	json_decref(a->query);
	free(a->host);
	free(a->param);
	free(a);
}

static void fanout_done(struct fanout *f)
{
	f->done(f->arg);
	json_decref(f->missed);
	free(f->request_id);
	free(f->trace);
	free(f);
}

static void replied(const struct reply *r, void *arg)
{
	struct asked *a = arg;
	struct fanout *f = a->f;
	struct reply whole = *r;
	/* a role in this process may respond with JSON text */
	_cleanup_(doc_unrefp) json_t *parsed = r->blob && !r->type ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : NULL;
	if (parsed)
		whole.doc = parsed;
	a->fn(a->host, a->param, &whole, f->arg);
	asked_free(a);
	f->open--;
	pump(f);
}

/* Fails a request that was not sent. Called from pump only, so that its callback does not run inside fanout_ask. */
static void asked_refuse(struct asked *a, enum err err)
{
	struct reply r = { .err = err, .message = err_text(err) };
	a->fn(a->host, a->param, &r, a->f->arg);
	asked_free(a);
}

static void send(struct asked *a)
{
	struct fanout *f = a->f;
	int64_t left = f->until_ms - clock_mono_ms();
	if (left <= 0) {
		asked_refuse(a, ERR_DEADLINE);
		return;
	}
	struct call_args args = f->as;
	args.op = a->op;
	args.caller = a->as ? &f->who : NULL;
	args.node = a->host;
	args.params[0] = a->param;
	args.query = a->query;
	args.deadline_ms = (unsigned)left;
	f->open++;
	bus_call(f->bus, &args, replied, a);
}

static void pump(struct fanout *f)
{
	struct list *n;
	if (!f->going || f->sending)
		return;
	f->sending = true; /* a callback may ask again */
	while (f->open < FANOUT_AT_ONCE && (n = list_take_first(&f->waiting)))
		send(CONTAINER_OF(n, struct asked, node));
	f->sending = false;
	if (!f->open)
		fanout_done(f);
}

static struct asked *asked_new(struct fanout *f, const struct op *op, json_t *query, fanout_reply fn)
{
	struct asked *a = XNEW(struct asked);
	a->f = f;
	a->op = op;
	a->query = query;
	a->fn = fn;
	list_append(&f->waiting, &a->node);
	f->n++;
	return a;
}

void fanout_ask(struct fanout *f, const struct op *op, const char *node, const char *param, json_t *query, fanout_reply fn)
{
	if (f->n >= FANOUT_MAX) {
		if (node)
			fanout_miss(f, node);
		json_decref(query);
		return;
	}
	struct asked *a = asked_new(f, op, query, fn);
	a->host = node ? xstrdup(node) : NULL;
	a->param = param ? xstrdup(param) : NULL;
}

void fanout_ask_as_caller(struct fanout *f, const struct op *op, json_t *query, fanout_reply fn)
{
	asked_new(f, op, query, fn)->as = true;
}

/* With a store of its own a host has one agent, whichever process it runs in. */
static bool many(struct nodes *nodes)
{
	return nodes && nodes_shared(nodes) && nodes_known(nodes);
}

struct each {
	struct fanout *f;
	const char *only;
	const struct op *op;
	fanout_reply fn;
};

static bool ask_node(const struct node_info *node, void *arg)
{
	const struct each *e = arg;
	if (e->only && strcmp(e->only, node->name) != 0)
		return true;
	if (node->status == NODE_UNREACHABLE)
		fanout_miss(e->f, node->name); /* it sends no heartbeats: do not wait for it */
	else
		fanout_ask(e->f, e->op, node->name, NULL, NULL, e->fn);
	return true;
}

void fanout_ask_nodes(struct fanout *f, struct nodes *nodes, const char *here, const char *only, const struct op *op,
		      fanout_reply fn)
{
	struct each e = { f, only, op, fn };
	if (many(nodes))
		nodes_each(nodes, ask_node, &e);
	else if (!only || strcmp(only, here) == 0)
		fanout_ask(f, op, here, NULL, NULL, fn);
}

bool fanout_knows(struct nodes *nodes, const char *here, const char *node)
{
	return many(nodes) ? nodes_find(nodes, node) != NULL : strcmp(node, here) == 0;
}

void fanout_go(struct fanout *f)
{
	f->going = true;
	pump(f);
}

void fanout_miss(struct fanout *f, const char *node)
{
	if (!doc_array_has(f->missed, node))
		json_array_append_new(f->missed, json_string(node));
}

json_t *fanout_missed(const struct fanout *f)
{
	return json_incref(f->missed);
}
