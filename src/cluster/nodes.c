#include "cluster/nodes.h"

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/map.h"
#include "lucid/str.h"

/* A copy of the collection, read every few seconds. Heartbeats are compared between two successful reads: while the store cannot be read,
 * no node is declared unreachable. */

#define FAR_MS (10 * 60 * 1000) /* a node whose heartbeat is this old when first read is unreachable; allows for clocks that differ */
#define LABELS_MAX 32

struct entry {
	struct list node; /* in `changed` during a read */
	json_t *doc;
	struct node_info info;
	const char *labels[LABELS_MAX + 1];
	char *url;	  /* of its route; NULL: no route */
	int64_t moved_ms; /* when its heartbeat was last seen to change */
	bool far;	  /* its heartbeat was older than FAR_MS when first read, and has not changed since */
	bool present;	  /* found by the current read */
	bool gone;	  /* was removed from the collection; published, then freed */
};

struct nodes {
	struct nodes_env env;
	char *own;
	char *refused;
	struct map *by_name;
	struct entry **order;
	size_t count;
	struct list changed;
	void (*on_change)(const char *node, enum node_status status, void *arg);
	void *arg;
	struct loop_timer *timer;
	struct subscription *events;
	bool begun, known, looking, again;
	int64_t read_ms; /* time of the last successful read */
};

const char *node_status_to_string(enum node_status s)
{
	static const char *const names[] = { "ready", "draining", "unreachable" };
	return names[s];
}

const struct node_info *nodes_find(struct nodes *n, const char *name)
{
	const struct entry *e = map_get(n->by_name, name);
	return e ? &e->info : NULL;
}

void nodes_each(struct nodes *n, bool (*fn)(const struct node_info *node, void *arg), void *arg)
{
	for (size_t i = 0; i < n->count; i++)
		if (!fn(&n->order[i]->info, arg))
			return;
}

bool nodes_known(const struct nodes *n)
{
	return n->known;
}

bool nodes_shared(const struct nodes *n)
{
	return n && n->env.shared;
}

const char *nodes_refused(const struct nodes *n)
{
	return n ? n->refused : NULL;
}

void nodes_refuse(struct nodes *n, const char *why)
{
	free(n->refused);
	n->refused = why ? xstrdup(why) : NULL;
}

/* --- one node */

static void set_route(struct nodes *n, struct entry *e, const char *url)
{
	const char *name = e->info.name;
	if (str_eq(e->url ? e->url : "", url))
		return;
	struct transport *t = *url ? n->env.ways.route(n->env.ways.arg, name, url) : NULL;
	bus_route_node(n->env.bus, name, t);
	if (!t && e->url)
		n->env.ways.forget(n->env.ways.arg, name);
	free(e->url);
	e->url = *url ? xstrdup(url) : NULL; /* recorded even if it cannot be used, so that it is not tried again with each read */
}

static void entry_free(void *entry)
{
	struct entry *e = entry;
	json_decref(e->doc);
	free(e->url);
	free(e);
}

static bool beat_goes_on(const json_t *before, const json_t *now)
{
	return doc_int(before, "beat", 0) != doc_int(now, "beat", 0) ||
	       !str_eq(doc_str(before, "heartbeat_at", ""), doc_str(now, "heartbeat_at", "")) ||
	       !json_equal(json_object_get(before, "agent"), json_object_get(now, "agent"));
}

static void take_doc(struct nodes *n, struct entry *e, json_t *consume)
{
	const json_t *capacity = json_object_get(consume, "capacity"), *label;
	size_t i, labels = 0;
	json_decref(e->doc);
	e->doc = consume;
	json_array_foreach(json_object_get(consume, "labels"), i, label)
		if (labels < LABELS_MAX && json_is_string(label))
			e->labels[labels++] = json_string_value(label);
	e->labels[labels] = NULL;
	const char *name = doc_str(consume, "node", "");
	e->info = (struct node_info){
		.name = name,
		.url = doc_str(consume, "url", ""),
		.host = doc_str(consume, "host", name),
		.labels = e->labels,
		.status = e->info.status,
		.here = str_eq(name, n->own),
		.cores = doc_int(capacity, "cores", 1),
		.memory_mb = doc_int(capacity, "memory_mb", 0),
		.cpu_percent = (int)doc_int(consume, "cpu_percent", 0),
		.memory_percent = (int)doc_int(consume, "memory_percent", 0),
		.version = doc_int(consume, "version", 0),
	};
}

static enum node_status entry_status(const struct nodes *n, const struct entry *e)
{
	bool gone = n->env.shared ? e->far || n->read_ms - e->moved_ms >= n->env.lost_ms : !e->info.here;
	return gone ? NODE_UNREACHABLE : doc_bool(e->doc, "draining", false) ? NODE_DRAINING : NODE_READY;
}

/* After the whole read was applied, as a subscriber may ask about any node. */
static void publish_changes(struct nodes *n)
{
	struct list *first;
	while ((first = list_take_first(&n->changed))) {
		struct entry *e = CONTAINER_OF(first, struct entry, node);
		enum node_status status = e->gone ? NODE_UNREACHABLE : e->info.status;
		log_write(status == NODE_UNREACHABLE ? LOG_WARN_ : LOG_INFO_, "cluster", NULL, NULL, "node %s is %s", e->info.name,
			  node_status_to_string(status));
		if (n->on_change)
			n->on_change(e->info.name, status, n->arg);
		if (e->gone)
			entry_free(e);
	}
}

static void entry_update(struct nodes *n, json_t *consume, const char *name)
{
	struct entry *e = map_get(n->by_name, name);
	bool fresh = !e;
	if (fresh) {
		int64_t at = 0;
		clock_from_iso(doc_str(consume, "heartbeat_at", ""), &at);
		e = XNEW(struct entry);
		e->far = clock_wall_ms() - at > FAR_MS;
		e->moved_ms = n->read_ms;
		map_put(n->by_name, name, e, NULL);
	} else if (beat_goes_on(e->doc, consume)) {
		e->far = false;
		e->moved_ms = n->read_ms;
	}
	take_doc(n, e, consume);
	e->present = true;
	n->order[n->count++] = e;
	enum node_status was = e->info.status;
	e->info.status = entry_status(n, e);
	if (!e->info.here || !n->env.agent_here)
		set_route(n, e, e->info.url);
	if (fresh ? n->known : was != e->info.status)
		list_append(&n->changed, &e->node);
}

/* --- all of them */

static void drop_absent(struct nodes *n)
{
	struct map_pos pos = { 0 };
	struct entry *e;
	while (map_next(n->by_name, &pos, NULL, (void **)&e)) {
		if (e->present) {
			e->present = false;
			continue;
		}
		set_route(n, e, "");
		map_remove(n->by_name, e->info.name);
		e->gone = true;
		list_append(&n->changed, &e->node);
	}
}

/* Time without successful reads does not count as missing heartbeats. */
static void forgive(struct nodes *n, int64_t now)
{
	int64_t gap = now - n->read_ms - 2 * (int64_t)n->env.list_ms;
	for (size_t i = 0; n->known && gap > 0 && i < n->count; i++)
		n->order[i]->moved_ms = MIN(n->order[i]->moved_ms + gap, now);
	n->read_ms = now;
}

static void nodes_read(enum store_result result, struct blob *const *docs, size_t len, int64_t total, int err, void *arg)
{
	struct nodes *n = arg;
	n->looking = false;
	if (result == STORE_OK) {
		forgive(n, clock_mono_ms());
		n->count = 0;
		for (size_t i = 0; i < len && i < NODES_MAX; i++) {
			json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
			const char *name = doc_str(doc, "node", "");
			if (*name)
				entry_update(n, doc, name);
			else
				json_decref(doc);
		}
		drop_absent(n);
		n->known = true;
		publish_changes(n);
	}
	if (n->again || result != STORE_OK || n->env.shared)
		loop_timer_set(n->timer, n->again ? 0 : n->env.list_ms);
	n->again = false;
}

static void read_nodes(void *arg)
{
	struct nodes *n = arg;
	if (n->looking) {
		n->again = true;
		return;
	}
	n->looking = true;
	struct store_query q = { .sort = { "id", false }, .limit = NODES_MAX };
	store_list(n->env.store, COL_NODES, &q, nodes_read, n);
}

void nodes_on_change(struct nodes *n, void (*fn)(const char *node, enum node_status status, void *arg), void *arg)
{
	n->on_change = fn;
	n->arg = arg;
}

void nodes_look(struct nodes *n)
{
	if (n->begun)
		read_nodes(n);
}

static void on_node_event(const struct event *e, void *arg)
{
	/* other events of this process follow from what it has read itself */
	if (*e->origin || str_eq(e->topic, "node.changed"))
		nodes_look(arg);
}

struct nodes *nodes_new(const struct nodes_env *env)
{
	struct nodes *n = XNEW(struct nodes);
	n->env = *env;
	n->own = xstrdup(env->node);
	n->env.list_ms = env->list_ms ? env->list_ms : NODES_LIST_MS;
	n->env.lost_ms = env->lost_ms ? env->lost_ms : NODES_LOST_MS;
	n->by_name = map_new(NODES_MAX + 1);
	n->order = xcalloc(NODES_MAX, sizeof(struct entry *));
	list_init(&n->changed);
	n->timer = loop_timer_new(env->loop, read_nodes, n);
	n->events = bus_subscribe(env->bus, "node.*", on_node_event, n);
	return n;
}

void nodes_begin(struct nodes *n)
{
	n->begun = true;
	read_nodes(n);
}

void nodes_free(struct nodes *n)
{
	if (!n)
		return;
	bus_unsubscribe(n->events);
	loop_timer_free(n->timer);
	map_free(n->by_name, entry_free);
	free(n->order);
	free(n->own);
	free(n->refused);
	free(n);
}
