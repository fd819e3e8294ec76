#include <math.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/lease.h"
#include "lucid/map.h"
#include "lucid/nodes.h"
#include "lucid/str.h"
#include "roles/contract/contract.h"
#include "roles/rdp-resource-monitor/rates.h"
#include "roles/rdp-resource-monitor/sample.h"

#define OBJECTS_MAX 50000
#define NODES_MAX 1000
/* A host that did not respond so many times in a row: its objects are gone. */
#define MISSES_MAX 3

/* One object that is sampled here. */
struct sampled {
	struct sample last;
	struct counters counters;
	uint64_t round; /* of its node, in which it was seen last */
};

struct sampled_node {
	struct sampler *sampler;
	char name[SAMPLE_ID_MAX];
	struct lease *lease;
	bool held, listed; /* held: listeners get its samples from this process */
	uint64_t call; /* in progress; 0: none */
	uint64_t round;
	unsigned misses;
};

struct sampler {
	struct role_env env;
	const struct op *stats;
	struct loop_timer *timer;
	struct map *nodes, *objects; /* struct sampled_node by name; struct sampled by kind and id */
	struct sample_listener listener[SAMPLE_LISTENERS];
	size_t listeners;
	bool started;
};

static void object_key(enum sample_kind kind, const char *id, char dst[SAMPLE_ID_MAX + 2])
{
	snprintf(dst, SAMPLE_ID_MAX + 2, "%c:%s", "nsd"[kind], id);
}

const struct sample *sample_latest(const struct sampler *s, enum sample_kind kind, const char *id)
{
	char key[SAMPLE_ID_MAX + 2];
	object_key(kind, id, key);
	const struct sampled *o = map_get(s->objects, key);
	return o ? &o->last : NULL;
}

void sample_each(const struct sampler *s, void (*fn)(const struct sample *sample, void *arg), void *arg)
{
	struct map_pos pos = { 0 };
	void *o;
	while (map_next(s->objects, &pos, NULL, &o))
		fn(&((struct sampled *)o)->last, arg);
}

bool sampler_holds(const struct sampler *s, const char *node)
{
	const struct sampled_node *n = map_get(s->nodes, node);
	return n && n->held;
}

void sampler_listen(struct sampler *s, const struct sample_listener *l)
{
	if (s->listeners < SAMPLE_LISTENERS)
		s->listener[s->listeners++] = *l;
}

/* --- objects that are not sampled any more, or not by this process */

static void tell_gone(struct sampler *s, const struct sample *o)
{
	for (size_t n = 0; n < s->listeners; n++)
		if (s->listener[n].on_gone)
			s->listener[n].on_gone(o->kind, o->id, s->listener[n].arg);
}

/* Another process goes on with the node. Its latest samples and their counters are kept for responses, and in case the lease returns. */
static void node_leave(struct sampled_node *node)
{
	struct map_pos pos = { 0 };
	void *o;
	if (!node->held)
		return;
	node->held = false;
	while (map_next(node->sampler->objects, &pos, NULL, &o))
		if (str_eq(((struct sampled *)o)->last.node, node->name))
			tell_gone(node->sampler, &((struct sampled *)o)->last);
}

/* Forgets the objects of a node that were not seen in its present round; all of them with `all`. */
static void forget_objects(struct sampled_node *node, bool all)
{
	struct sampler *s = node->sampler;
	struct map_pos pos = { 0 };
	const char *key;
	void *value;
	while (map_next(s->objects, &pos, &key, &value)) {
		struct sampled *o = value;
		if (!str_eq(o->last.node, node->name) || (!all && o->round == node->round))
			continue;
		map_remove(s->objects, key);
		if (node->held)
			tell_gone(s, &o->last);
		free(o);
	}
}

/* --- one round of a node */

static struct sampled *sampled_object(struct sampled_node *node, enum sample_kind kind, const char *id, int64_t now_ms)
{
	char key[SAMPLE_ID_MAX + 2];
	object_key(kind, id, key);
	struct sampled *o = map_get(node->sampler->objects, key);
	if (!o) {
		o = XNEW(struct sampled);
		o->last.kind = kind;
		str_copy(o->last.id, sizeof o->last.id, id);
		if (!map_put(node->sampler->objects, key, o, NULL)) {
			free(o);
			return NULL;
		}
	}
	if (!str_eq(o->last.node, node->name)) { /* a server that moved to another host has new counters there */
		o->counters = (struct counters){ 0 };
		str_copy(o->last.node, sizeof o->last.node, node->name);
	}
	o->last.time_ms = now_ms;
	o->round = node->round;
	return o;
}

static void tell_sample(const struct sampled_node *node, const struct sample *sample)
{
	const struct sampler *s = node->sampler;
	for (size_t n = 0; node->held && n < s->listeners; n++)
		if (s->listener[n].on_sample)
			s->listener[n].on_sample(sample, s->listener[n].arg);
}

static void sample_group(struct sampled_node *node, enum sample_kind kind, const char *id, const json_t *doc,
			 const struct rates_host *host, int64_t now_ms)
{
	struct sampled *o = sampled_object(node, kind, id, now_ms);
	if (!o)
		return;
	rates_of_group(doc, host, &o->counters, o->last.value);
	tell_sample(node, &o->last);
}

static void sample_instance(struct sampled_node *node, const json_t *doc, const struct rates_host *host, int64_t now_ms)
{
	const char *server = doc_str(doc, "server_id", "");
	json_t *desktop;
	size_t i;
	sample_group(node, SAMPLE_SERVER, server, doc, host, now_ms);
	json_array_foreach(json_object_get(doc, "desktops"), i, desktop)
	{
		char id[SAMPLE_ID_MAX];
		snprintf(id, sizeof id, "%s:%d", server, (int)doc_int(desktop, "display", 0));
		sample_group(node, SAMPLE_DESKTOP, id, desktop, host, now_ms);
	}
}

static double servers_sessions(const json_t *list)
{
	int64_t sum = 0;
	json_t *instance;
	size_t i;
	json_array_foreach(list, i, instance)
		sum += (int64_t)json_array_size(json_object_get(instance, "desktops"));
	return (double)sum;
}

static void round_take(struct sampled_node *node, const json_t *doc)
{
	struct sampler *s = node->sampler;
	const json_t *host = json_object_get(doc, "host"), *list = json_object_get(doc, "instances");
	const struct rates_host h = rates_host_of(host);
	int64_t now_ms = clock_wall_ms();
	json_t *instance;
	size_t i;
	node->round++;
	json_array_foreach(list, i, instance)
		sample_instance(node, instance, &h, now_ms);
	struct sampled *o = sampled_object(node, SAMPLE_NODE, node->name, now_ms);
	if (o) {
		rates_of_host(host, &o->counters, o->last.value);
		o->last.value[RES_SESSIONS] = servers_sessions(list);
		tell_sample(node, &o->last);
	}
	forget_objects(node, false);
	for (size_t n = 0; node->held && n < s->listeners; n++)
		if (s->listener[n].on_round)
			s->listener[n].on_round(node->name, now_ms, s->listener[n].arg);
}

static void on_stats(const struct reply *r, void *arg)
{
	struct sampled_node *node = arg;
	node->call = 0;
	_cleanup_(doc_unrefp) json_t *parsed = r->blob ? doc_parse(r->blob->data, r->blob->len, NULL, 0) : NULL;
	const json_t *doc = r->doc ? r->doc : parsed;
	if (!r->err && doc) {
		node->misses = 0;
		round_take(node, doc);
	} else if (++node->misses == MISSES_MAX) {
		forget_objects(node, true);
	}
}

static void node_ask(struct sampled_node *node)
{
	if (node->call)
		return;
	const struct call_args a = { .op = node->sampler->stats, .node = node->name };
	node->call = bus_call(node->sampler->env.bus, &a, on_stats, node);
}

/* --- which nodes */

static void on_lease(bool held, void *arg)
{
	struct sampled_node *node = arg;
	if (!held) {
		node_leave(node);
		return;
	}
	node->held = true;
	node_ask(node); /* so that listeners need not wait for the next interval */
}

static void node_want(struct sampler *s, const char *name)
{
	struct sampled_node *node = map_get(s->nodes, name);
	if (!node) {
		node = XNEW(struct sampled_node);
		node->sampler = s;
		str_copy(node->name, sizeof node->name, name);
		if (!map_put(s->nodes, name, node, NULL)) {
			free(node);
			return;
		}
		_cleanup_(xfreep) char *lease = xasprintf("resources:%s", name);
		node->lease = lease_want(s->env.leases, lease, on_lease, node);
		node_ask(node); /* what the first rates are measured from */
	}
	node->listed = true;
}

static void node_drop(struct sampled_node *node)
{
	lease_drop(node->lease);
	node_leave(node);
	bus_cancel(node->sampler->env.bus, node->call);
	forget_objects(node, true);
	free(node);
}

static bool want_listed(const struct node_info *info, void *arg)
{
	node_want(arg, info->name);
	return true;
}

/* Follows the list of hosts. While it has not been read, nothing changes. */
static void nodes_follow(struct sampler *s)
{
	struct map_pos pos = { 0 };
	const char *name;
	void *node;
	if (!s->env.nodes || !nodes_shared(s->env.nodes)) {
		node_want(s, s->env.node); /* with a store of its own a host is the only node */
		return;
	}
	if (!nodes_known(s->env.nodes))
		return;
	while (map_next(s->nodes, &pos, NULL, &node))
		((struct sampled_node *)node)->listed = false;
	nodes_each(s->env.nodes, want_listed, s);
	pos = (struct map_pos){ 0 };
	while (map_next(s->nodes, &pos, &name, &node))
		if (!((struct sampled_node *)node)->listed)
			node_drop(map_remove(s->nodes, name));
}

/* Samples are taken at multiples of the interval, so that those of several hosts belong together. */
static void sampler_arm(struct sampler *s)
{
	int64_t interval = config_int(s->env.config, "METRICS_INTERVAL") * 1000;
	loop_timer_set(s->timer, interval - clock_wall_ms() % interval);
}

static void on_interval(void *arg)
{
	struct sampler *s = arg;
	struct map_pos pos = { 0 };
	void *node;
	nodes_follow(s);
	while (map_next(s->nodes, &pos, NULL, &node))
		node_ask(node);
	sampler_arm(s);
}

struct sampler *sampler_new(const struct role_env *env)
{
	struct sampler *s = XNEW(struct sampler);
	s->env = *env;
	s->stats = op_find("xrdp.stats");
	s->timer = loop_timer_new(env->loop, on_interval, s);
	s->nodes = map_new(NODES_MAX);
	s->objects = map_new(OBJECTS_MAX);
	return s;
}

void sampler_start(struct sampler *s)
{
	s->started = true;
	nodes_follow(s);
	sampler_arm(s);
}

void sampler_stop(struct sampler *s)
{
	struct map_pos pos = { 0 };
	const char *name;
	void *node;
	if (!s->started)
		return;
	s->started = false;
	loop_timer_clear(s->timer);
	while (map_next(s->nodes, &pos, &name, &node))
		node_drop(map_remove(s->nodes, name));
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	sampler_stop(s);
	loop_timer_free(s->timer);
	map_free(s->nodes, NULL);
	map_free(s->objects, free);
	free(s);
}
