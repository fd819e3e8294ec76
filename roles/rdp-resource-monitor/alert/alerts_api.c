#include "lucid/listing.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/alert/alerts.h"

/* The operations on alerts: list, read, acknowledge. */

struct alert_listing {
	struct alerts *a;
	struct call *call;
	struct listing_page page;
};

/* A token without a subject owns nothing, and the alerts of nodes have no owner. */
static bool has_name(const struct call *c)
{
	return caller_is_admin(call_caller(c)) || *call_caller(c)->sub;
}

static void alerts_listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	_cleanup_(xfreep) struct alert_listing *w = arg;
	struct strbuf b = { 0 };
	if (result != STORE_OK) {
		objects_fail_call(w->a->objects, w->call, err, ERR_INTERNAL);
		objects_release(w->a->objects);
		return;
	}
	_cleanup_(doc_unrefp) json_t *pagination = listing_pagination(&w->page, total);
	_cleanup_(xfreep) char *pages = doc_text(pagination);
	strbuf_puts(&b, "{\"alerts\":[");
	for (size_t i = 0; i < n && i < w->page.limit; i++) {
		if (i)
			strbuf_putc(&b, ',');
		strbuf_add(&b, docs[i]->data, docs[i]->len);
	}
	strbuf_printf(&b, "],\"pagination\":%s}", pages);
	call_ok_blob(w->call, blob_new(b.s, b.len), NULL);
	strbuf_done(&b);
	objects_release(w->a->objects);
}

static const struct listing_filter filters[] = { { "kind" }, { "node" }, { "server_id" }, { "metric" }, { "user_id" } };
static const struct listing alerts_listing = { filters, ARRAY_LEN(filters), "-raised_at", NULL };

static void op_alerts_list(struct call *c, void *ctx)
{
	struct alerts *a = ctx;
	const json_t *query = call_query(c);
	const char *state = doc_str(query, "state", "");
	struct store_query q;
	if (!has_name(c)) {
		call_fail(c, ERR_FORBIDDEN, "the token names no user (claim sub) whose alerts could be listed");
		return;
	}
	struct alert_listing *w = XNEW(struct alert_listing);
	*w = (struct alert_listing){ a, c, listing_page(query) };
	listing_query(&alerts_listing, query, &w->page, &q);
	if (str_eq(state, "open"))
		listing_narrow(&q, "status", STORE_NE, "cleared");
	else
		listing_narrow(&q, "status", STORE_EQ, *state ? state : NULL);
	if (!caller_is_admin(call_caller(c)))
		listing_narrow(&q, "user_id", STORE_EQ, call_caller(c)->sub);
	objects_hold(a->objects);
	store_list(a->env.store, COL_ALERTS, &q, alerts_listed, w);
}

/* The alert that the call names; NULL: the call was answered, or will run `again`. */
static struct alert *alert_of_call(struct alerts *a, struct call *c, call_handler again)
{
	if (!has_name(c)) {
		call_fail(c, ERR_NOT_FOUND, NULL);
		return NULL;
	}
	return (struct alert *)objects_of_call(a->objects, c, "alert_id", again);
}

static void op_alert_get(struct call *c, void *ctx)
{
	struct alert *a = alert_of_call(ctx, c, op_alert_get);
	if (a)
		object_send(&a->o, c, 0);
}

static void acknowledged(int err, void *arg)
{
	struct object_task *t = arg;
	if (err)
		object_task_fail_store(t, err, ERR_INTERNAL);
	else if (t->object->overtaken)
		object_task_again(t);
	else
		object_task_end(t);
}

static void run_acknowledge(struct object_task *t)
{
	struct object *o = t->object;
	if (o->state == ALERT_CLEARED) {
		object_task_fail(t, ERR_CONFLICT, "the alert was cleared at %s; only an open alert can be acknowledged",
				 doc_str(o->doc, "cleared_at", "an unknown time"));
		return;
	}
	if (o->state == ALERT_RAISED)
		object_enter(o, ALERT_ACKNOWLEDGED, NULL, json_pack("{s:s}", "acknowledged_by", call_caller(t->call)->sub));
	object_wait(o, acknowledged, t);
}

static void op_alert_acknowledge(struct call *c, void *ctx)
{
	struct alert *a = alert_of_call(ctx, c, op_alert_acknowledge);
	if (a)
		object_queue(&a->o, object_task_new(a->o.set, c, run_acknowledge));
}

void alerts_serve(struct alerts *a)
{
	bus_serve(a->env.bus, op_find("resources.alerts.list"), op_alerts_list, a);
	bus_serve(a->env.bus, op_find("resources.alerts.get"), op_alert_get, a);
	bus_serve(a->env.bus, op_find("resources.alerts.acknowledge"), op_alert_acknowledge, a);
}
