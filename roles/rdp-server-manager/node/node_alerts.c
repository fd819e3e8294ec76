#include "roles/rdp-server-manager/node/node_alerts.h"

#include "lucid/clock.h"
#include "lucid/str.h"

#define PAGE 100
#define PAGES_MAX 30 /* three metrics of a thousand nodes */
#define SOON_MS 100  /* so that many events cause one listing */
#define RETRY_MS 3000
#define LIST_MS 5000 /* deadline of one page */

struct node_alerts {
	struct manager *m;
	const struct op *list;
	struct loop_timer *timer;
	struct subscription *events, *gaps;
	json_t *open, *next; /* node → array of metrics: the last whole list, NULL: not known; the list in progress */
	int page;	     /* in progress; 0: none */
	bool again, begun, said;
	int64_t known_ms; /* monotonic: end of the last listing that succeeded, or the start */
};

static void ask_page(struct node_alerts *a);

static int64_t interval(const struct node_alerts *a)
{
	return config_int(a->m->env.config, "HEALTH_CHECK_INTERVAL") * 1000;
}

static void listed_whole(struct node_alerts *a)
{
	json_decref(a->open);
	a->open = a->next;
	a->next = NULL;
	a->known_ms = clock_mono_ms();
	if (a->said)
		log_info(SERVICE, "the open alerts of the nodes are known again");
	a->said = false;
	loop_timer_set(a->timer, a->again ? SOON_MS : interval(a));
}

/* Nobody would tell that an alert was cleared, so an old list must not refuse servers for ever. */
static void list_failed(struct node_alerts *a, const struct reply *r)
{
	json_decref(a->next);
	a->next = NULL;
	loop_timer_set(a->timer, MIN(interval(a), RETRY_MS));
	if (clock_mono_ms() - a->known_ms < NODE_ALERTS_STALE_MS || a->said)
		return;
	a->said = true;
	json_decref(a->open);
	a->open = NULL;
	log_warn(SERVICE, "the open alerts of the nodes cannot be read: %s; new servers are placed by MAX_CPU_USAGE and MAX_MEMORY_USAGE alone until "
			  "an %s responds", r->message, ROLE_RESOURCES);
}

static void take_page(struct node_alerts *a, const json_t *doc)
{
	json_t *alert;
	size_t i;
	json_array_foreach(json_object_get(doc, "alerts"), i, alert)
	{
		const char *node = doc_str(alert, "node", "");
		if (!json_object_get(a->next, node))
			json_object_set_new(a->next, node, json_array());
		json_array_append(json_object_get(a->next, node), json_object_get(alert, "metric"));
	}
}

static void page_listed(const struct reply *r, void *arg)
{
	struct node_alerts *a = arg;
	struct manager *m = a->m;
	_cleanup_(doc_unrefp) json_t *parsed = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : NULL;
	const json_t *doc = r->doc ? r->doc : parsed;
	if (objects_draining(m->objects)) {
		a->page = 0;
		objects_release(m->objects);
		return;
	}
	if (!r->err)
		take_page(a, doc);
	if (!r->err && doc_bool(json_object_get(doc, "pagination"), "has_next", false) && a->page < PAGES_MAX) {
		ask_page(a);
	} else {
		a->page = 0;
		if (r->err)
			list_failed(a, r);
		else
			listed_whole(a);
	}
	objects_release(m->objects);
}

static void ask_page(struct node_alerts *a)
{
	_cleanup_(doc_unrefp) json_t *query = json_pack("{s:s, s:s, s:s, s:i, s:i}", "kind", "node", "state", "open", "sort", "raised_at", "limit",
							PAGE, "page", ++a->page);
	objects_hold(a->m->objects);
	bus_call(a->m->env.bus, &(struct call_args){ .op = a->list, .query = query, .deadline_ms = LIST_MS }, page_listed, a);
}

static void look(void *arg)
{
	struct node_alerts *a = arg;
	if (objects_draining(a->m->objects))
		return;
	a->again = a->page != 0; /* the listing in progress may have been made too early */
	if (a->page)
		return;
	a->next = json_object();
	ask_page(a);
}

static void look_soon(struct node_alerts *a)
{
	if (a->begun && !objects_draining(a->m->objects))
		loop_timer_set(a->timer, SOON_MS);
}

static void on_alert(const struct event *e, void *arg)
{
	if (str_eq(doc_str(e->data, "kind", ""), "node"))
		look_soon(arg);
}

static void node_alerts_gap(UNUSED const struct event *e, void *arg)
{
	look_soon(arg);
}

struct node_alerts *node_alerts_new(struct manager *m)
{
	struct node_alerts *a = XNEW(struct node_alerts);
	*a = (struct node_alerts){ .m = m, .list = op_find("resources.alerts.list") };
	a->timer = loop_timer_new(m->env.loop, look, a);
	a->events = bus_subscribe(m->env.bus, "resource.alert.*", on_alert, a);
	a->gaps = bus_subscribe(m->env.bus, BUS_GAP, node_alerts_gap, a);
	return a;
}

void node_alerts_start(struct node_alerts *a)
{
	if (a->begun)
		return;
	a->begun = true;
	a->known_ms = clock_mono_ms();
	look(a);
}

void node_alerts_stop(struct node_alerts *a)
{
	loop_timer_clear(a->timer);
	bus_unsubscribe(TAKE_PTR(a->events));
	bus_unsubscribe(TAKE_PTR(a->gaps));
}

void node_alerts_free(struct node_alerts *a)
{
	if (!a)
		return;
	loop_timer_free(a->timer);
	json_decref(a->open);
	json_decref(a->next);
	free(a);
}

const json_t *node_alerts_of(const struct node_alerts *a, const char *node)
{
	return json_object_get(a->open, node);
}

json_t *node_alerts_shown(const struct node_alerts *a, const char *node)
{
	const json_t *metrics = node_alerts_of(a, node);
	if (!a->open)
		return json_null();
	return metrics ? json_copy((json_t *)(uintptr_t)metrics) : json_array();
}
