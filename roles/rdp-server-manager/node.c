#include "roles/rdp-server-manager/servers.h"

#include <stdio.h>
#include <unistd.h>

#include "lucid/clock.h"

/* This host as a node: a document with its heartbeat, what it has, and whether it takes new servers. */

#define RACES_MAX 8

void node_capacity(const struct manager *m, int64_t *ret_cores, int64_t *ret_memory_mb)
{
	*ret_cores = sysconf(_SC_NPROCESSORS_ONLN);
	*ret_memory_mb = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

/* --- figures of this host, means since the heartbeat before */

static void sample(struct manager *m)
{
	char line[256] = "";
	FILE *f = fopen("/proc/stat", "re");
	long long v[8] = { 0 };
	if (f && fgets(line, sizeof line, f) &&
	    sscanf(line, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) >= 5) {
		int64_t all = 0, idle = v[3] + v[4];
		for (size_t i = 0; i < ARRAY_LEN(v); i++)
			all += v[i];
		if (m->cpu_all && all > m->cpu_all)
			m->cpu_percent = (int)(100 * (all - idle - m->cpu_busy) / (all - m->cpu_all));
		m->cpu_all = all;
		m->cpu_busy = all - idle;
	}
	if (f)
		fclose(f);
	long long total = 0, available = 0;
	if (!(f = fopen("/proc/meminfo", "re")))
		return;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "MemTotal: %lld", &total) != 1)
			(void)!sscanf(line, "MemAvailable: %lld", &available);
	fclose(f);
	if (total > 0)
		m->memory_percent = (int)(100 * (total - available) / total);
}

/* --- placement */

int node_place(struct manager *m, struct call *c, const char *wanted, bool will_run)
{
	if (wanted && !str_eq(wanted, m->env.node)) {
		call_fail_details(c, ERR_INVALID,
				  json_pack("[{s:s, s:s}]", "field", "node", "message", "there is no such node; see GET /nodes"),
				  NULL);
		return -ERR_INVALID;
	}
	if (doc_bool(m->node, "draining", false)) {
		call_fail(c, ERR_CONFLICT, "node %s is draining and takes no new servers", m->env.node);
		return -ERR_CONFLICT;
	}
	int64_t max_cpu = config_int(m->env.config, "MAX_CPU_USAGE"), max_memory = config_int(m->env.config, "MAX_MEMORY_USAGE");
	bool busy = (max_cpu < 100 && m->cpu_percent > max_cpu) || (max_memory < 100 && m->memory_percent > max_memory);
	if (will_run && busy) {
		call_fail(c, ERR_QUOTA,
			  "node %s is at %d %% of its cores and %d %% of its memory, above MAX_CPU_USAGE or MAX_MEMORY_USAGE; "
			  "create it with auto_start false, or try again later",
			  m->env.node, m->cpu_percent, m->memory_percent);
		return -ERR_QUOTA;
	}
	return 0;
}

/* --- the document */

static json_t *beat(struct manager *m, const json_t *before)
{
	int64_t cores, memory_mb;
	node_capacity(m, &cores, &memory_mb);
	json_t *doc = before ? json_copy((json_t *)before) : json_object();
	doc_set_str(doc, "node", m->env.node);
	doc_set_str(doc, "host", m->host);
	const char *url = config_str(m->env.config, "NODE_URL");
	doc_set_str(doc, "url", *url ? url : NULL);
	if (!before) {
		json_t *labels = json_array();
		const char *const *l = config_list(m->env.config, "NODE_LABELS");
		for (; l && *l; l++)
			json_array_append_new(labels, json_string(*l));
		doc_set_bool(doc, "draining", false);
		doc_set(doc, "labels", labels);
	}
	doc_set(doc, "capacity", json_pack("{s:I, s:I}", "cores", (json_int_t)cores, "memory_mb", (json_int_t)memory_mb));
	doc_set_int(doc, "cpu_percent", m->cpu_percent);
	doc_set_int(doc, "memory_percent", m->memory_percent);
	doc_set_time(doc, "heartbeat_at", clock_wall_ms());
	doc_set_int(doc, "version", doc_int(before, "version", 0) + 1);
	return doc;
}

struct beating {
	struct manager *m;
	json_t *doc;
};

static void next_beat(struct manager *m)
{
	m->node_busy = false;
	/* the second soon: only then is known how busy the cores are, and MAX_CPU_USAGE means something */
	if (!m->draining)
		loop_timer_set(m->heartbeat_timer, m->beats++ ? config_int(m->env.config, "HEALTH_CHECK_INTERVAL") * 1000 : 1000);
	manager_idle(m);
}

static void beaten(enum store_result result, size_t index, int err, void *arg)
{
	_cleanup_(xfreep) struct beating *w = arg;
	if (result == STORE_OK) {
		json_decref(w->m->node);
		w->m->node = json_incref(w->doc);
	}
	json_decref(w->doc);
	next_beat(w->m); /* a lost race or a store that is away: with the next one */
}

static void node_read(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct manager *m = arg;
	_cleanup_(doc_unrefp) json_t *before = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_FAILED || m->draining) {
		next_beat(m);
		return;
	}
	if (before) {
		json_decref(m->node);
		m->node = json_incref(before);
	}
	struct beating *w = XNEW(struct beating);
	*w = (struct beating){ m, beat(m, before) };
	struct store_op op = { before ? STORE_REPLACE : STORE_INSERT, COL_NODES, m->env.node, before ? d->version : 0, w->doc };
	store_write(m->env.store, &op, 1, beaten, w);
}

static void heartbeat(void *arg)
{
	struct manager *m = arg;
	if (m->node_busy || m->draining)
		return;
	m->node_busy = true;
	sample(m);
	store_get(m->env.store, COL_NODES, m->env.node, node_read, m);
}

void node_start(struct manager *m)
{
	m->heartbeat_timer = loop_timer_new(m->env.loop, heartbeat, m);
	heartbeat(m);
}

void node_stop(struct manager *m)
{
	loop_timer_free(m->heartbeat_timer);
	json_decref(m->node);
}

/* --- operations */

/* As the API shows it: with a status, and how many servers of ours it has. */
static json_t *shown(struct manager *m, const json_t *doc)
{
	json_t *out = json_copy((json_t *)doc);
	int64_t beat_ms = 0;
	clock_from_iso(doc_str(doc, "heartbeat_at", ""), &beat_ms);
	bool late = clock_wall_ms() - beat_ms > MAX(NODE_STALE_MS, 3000 * config_int(m->env.config, "HEALTH_CHECK_INTERVAL"));
	doc_set_str(out, "status", late ? "unreachable" : doc_bool(doc, "draining", false) ? "draining" : "ready");
	doc_set_int(out, "servers", str_eq(doc_str(doc, "node", ""), m->env.node) ? (int64_t)map_count(m->servers) : 0);
	return out;
}

struct asked {
	struct manager *m;
	struct call *call;
	json_t *doc;
	unsigned tries;
};

static void listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	_cleanup_(xfreep) struct asked *w = arg;
	if (result != STORE_OK) {
		store_fail(w->call, err, ERR_INTERNAL);
		return;
	}
	json_t *nodes = json_array();
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (doc)
			json_array_append_new(nodes, shown(w->m, doc));
	}
	call_ok(w->call, json_pack("{s:o}", "nodes", nodes));
}

static struct asked *asked_new(struct manager *m, struct call *c)
{
	struct asked *w = XNEW(struct asked);
	w->m = m;
	w->call = c;
	return w;
}

void op_nodes(struct call *c, void *m)
{
	struct store_query q = { .sort = { "id", false }, .limit = STORE_MAX_PAGE };
	store_list(((struct manager *)m)->env.store, COL_NODES, &q, listed, asked_new(m, c));
}

static void got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	_cleanup_(xfreep) struct asked *w = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc) {
		call_set_version(w->call, d->version);
		call_ok(w->call, shown(w->m, doc));
	} else if (result == STORE_MISSING) {
		call_fail(w->call, ERR_NOT_FOUND, "there is no such node; see GET /nodes");
	} else {
		store_fail(w->call, err, ERR_INTERNAL);
	}
}

void op_node(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	store_get(m->env.store, COL_NODES, call_param(c, "node"), got, asked_new(m, c));
}

static void put_got(enum store_result result, const struct store_doc *d, int err, void *arg);

static void put_done(enum store_result result, size_t index, int err, void *arg)
{
	struct asked *w = arg;
	struct manager *m = w->m;
	if (result == STORE_STALE && !call_if_match(w->call) && ++w->tries < RACES_MAX) {
		json_decref(w->doc);
		w->doc = NULL;
		store_get(m->env.store, COL_NODES, call_param(w->call, "node"), put_got, w);
		return;
	}
	if (result == STORE_OK) {
		if (str_eq(call_param(w->call, "node"), m->env.node)) {
			json_decref(m->node);
			m->node = json_incref(w->doc);
		}
		call_set_version(w->call, doc_int(w->doc, "version", 0));
		call_ok(w->call, shown(m, w->doc));
	} else if (result == STORE_STALE) {
		call_fail(w->call, ERR_STALE, NULL);
	} else {
		store_fail(w->call, err, ERR_INTERNAL);
	}
	json_decref(w->doc);
	free(w);
}

static void put_got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct asked *w = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	int64_t pinned = call_if_match(w->call);
	if (!doc || (pinned && pinned != d->version)) {
		if (doc)
			call_fail(w->call, ERR_STALE, NULL);
		else if (result == STORE_MISSING)
			call_fail(w->call, ERR_NOT_FOUND, "there is no such node; a host registers itself");
		else
			store_fail(w->call, err, ERR_INTERNAL);
		free(w);
		return;
	}
	const json_t *body = call_body(w->call);
	static const char *const members[] = { "draining", "labels" };
	w->doc = json_copy(doc);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (json_object_get(body, members[i]) && !json_is_null(json_object_get(body, members[i])))
			json_object_set(w->doc, members[i], json_object_get(body, members[i]));
	doc_set_int(w->doc, "version", d->version + 1);
	struct store_op op = { STORE_REPLACE, COL_NODES, call_param(w->call, "node"), d->version, w->doc };
	store_write(w->m->env.store, &op, 1, put_done, w);
}

void op_node_put(struct call *c, void *ctx)
{
	struct manager *m = ctx;
	store_get(m->env.store, COL_NODES, call_param(c, "node"), put_got, asked_new(m, c));
}
