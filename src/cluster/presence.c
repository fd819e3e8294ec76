#include "cluster/presence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cluster/sample.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* The document of a node identifies its agent: by an identity, which is kept with the host's data, and by a random number for each start of
 * the program. The same identity with another start is this agent before a restart, which is replaced at once. */

#define ID_BYTES 16
#define RACES_MAX 8
#define FAR_MS (10 * 60 * 1000)

struct presence {
	struct presence_env env;
	char *node, *host, *url;
	char id[2 * ID_BYTES + 1], start[17];
	struct sample sample;
	struct loop_timer *timer;
	bool busy, stopped, registered;
	unsigned beats, races;
	bool beaten;	      /* the last heartbeat was stored */
	json_t *doc;	      /* being written */
	char *rival;	      /* agent and heartbeat of another agent with our node name, as last read */
	int64_t rival_ms;     /* since when they have not changed */
	char why[400];
};

/* --- identity of the agent */

static bool read_id(struct presence *p)
{
	char text[sizeof p->id];
	_cleanup_(closep) int fd = open(p->env.id_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n != (ssize_t)sizeof text - 1)
		return false;
	text[n] = '\0';
	return strspn(text, "0123456789abcdef") == (size_t)n && str_copy(p->id, sizeof p->id, text);
}

/* An identity that cannot be written is used until the program ends. */
static void know_id(struct presence *p)
{
	id_hex(p->start, sizeof p->start / 2);
	if (read_id(p))
		return;
	id_hex(p->id, ID_BYTES);
	_cleanup_(xfreep) char *tmp = xasprintf("%s.new", p->env.id_path);
	_cleanup_(closep) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool kept = fd >= 0 && write(fd, p->id, strlen(p->id)) == (ssize_t)strlen(p->id) && fsync(fd) == 0 &&
		    rename(tmp, p->env.id_path) == 0;
	if (!kept)
		log_warn("cluster", "cannot write the agent's identity to %s (%s): after a restart the agent waits until its previous "
			 "heartbeat has expired", p->env.id_path, strerror(errno));
}

/* --- the document */

static json_t *labels_of(const struct config *c)
{
	json_t *labels = json_array();
	for (const char *const *l = config_list(c, "NODE_LABELS"); l && *l; l++)
		json_array_append_new(labels, json_string(*l));
	return labels;
}

/* Labels come from NODE_LABELS until the API sets others; a change of NODE_LABELS overrides those. */
static void set_labels(struct presence *p, json_t *doc)
{
	json_t *given = labels_of(p->env.config);
	if (!json_equal(given, json_object_get(doc, "given_labels")))
		json_object_set(doc, "labels", given);
	doc_set(doc, "given_labels", given);
}

static json_t *make_doc(struct presence *p, const json_t *before)
{
	json_t *doc = before ? json_copy((json_t *)before) : json_object();
	doc_set_str(doc, "node", p->node);
	doc_set_str(doc, "name", p->node);
	doc_set_str(doc, "host", p->host);
	doc_set_str(doc, "url", *p->url ? p->url : NULL);
	doc_set(doc, "agent", json_pack("{s:s, s:s}", "id", p->id, "start", p->start));
	if (!before)
		doc_set_bool(doc, "draining", false);
	set_labels(p, doc);
	doc_set(doc, "capacity", json_pack("{s:I, s:I}", "cores", (json_int_t)p->sample.cores, "memory_mb",
					   (json_int_t)p->sample.memory_mb));
	doc_set_int(doc, "cpu_percent", p->sample.cpu_percent);
	doc_set_int(doc, "memory_percent", p->sample.memory_percent);
	doc_set_int(doc, "beat", doc_int(before, "beat", 0) + 1);
	doc_set_time(doc, "heartbeat_at", clock_wall_ms());
	doc_set_int(doc, "version", doc_int(before, "version", 0) + 1);
	return doc;
}

/* --- heartbeat */

static void next(struct presence *p)
{
	int64_t every = config_int(p->env.config, "HEALTH_CHECK_INTERVAL") * 1000;
	if (p->env.shared)
		every = MIN(every, (int64_t)p->env.beat_ms);
	/* the second one follows soon: CPU usage, which MAX_CPU_USAGE limits, is known only then */
	p->busy = false;
	if (!p->stopped)
		loop_timer_set(p->timer, p->beats == 1 ? MIN(every, 1000) : every);
}

static void failed(struct presence *p, int err)
{
	p->beaten = false;
	snprintf(p->why, sizeof p->why, "the node's heartbeat cannot be stored (%s)", err_text(err));
	next(p);
}

static void seek(struct presence *p);

static void beaten(enum store_result result, size_t index, int err, void *arg)
{
	struct presence *p = arg;
	json_decref(TAKE_PTR(p->doc));
	if (result == STORE_FAILED) {
		failed(p, err);
		return;
	}
	if (result != STORE_OK) { /* another process changed the document: read it again */
		if (++p->races < RACES_MAX)
			seek(p);
		else
			failed(p, -ERR_BUSY);
		return;
	}
	p->beats++;
	p->beaten = true;
	if (!p->registered) {
		log_info("cluster", "registered as node %s", p->node);
		bus_publish(p->env.bus, "node.changed", p->node, "", json_pack("{s:s}", "node", p->node));
	}
	p->registered = true;
	nodes_refuse(p->env.nodes, NULL);
	if (!p->env.shared)
		nodes_look(p->env.nodes);
	next(p);
}

static void write_it(struct presence *p, const json_t *before, int64_t version)
{
	free(TAKE_PTR(p->rival));
	p->doc = make_doc(p, before);
	struct store_op op = { before ? STORE_REPLACE : STORE_INSERT, COL_NODES, p->node, version, p->doc };
	store_write(p->env.store, &op, 1, beaten, p);
}

/* Whether another agent with our node name still sends heartbeats: true until its heartbeat has not changed for lost_ms. */
static bool rival_beats(struct presence *p, const json_t *doc)
{
	const json_t *agent = json_object_get(doc, "agent");
	int64_t now = clock_mono_ms(), at = 0;
	_cleanup_(xfreep) char *seen = xasprintf("%s %s %lld", doc_str(agent, "id", ""), doc_str(agent, "start", ""),
						 (long long)doc_int(doc, "beat", 0));
	clock_from_iso(doc_str(doc, "heartbeat_at", ""), &at);
	bool first = !p->rival;
	if (first || !str_eq(p->rival, seen)) {
		free(p->rival);
		p->rival = TAKE_PTR(seen);
		p->rival_ms = now;
	}
	if (first && clock_wall_ms() - at > FAR_MS)
		p->rival_ms = now - p->env.lost_ms;
	return now - p->rival_ms < p->env.lost_ms;
}

static void presence_refuse(struct presence *p, const json_t *doc)
{
	bool refused_before = nodes_refused(p->env.nodes) != NULL;
	p->beaten = false;
	snprintf(p->why, sizeof p->why, "another agent (host %s, URL %s) has the node name %s; give this agent another "
		 "NODE_NAME, or stop the other agent; its name becomes free when its heartbeat expires", doc_str(doc, "host", "unknown"), doc_str(doc, "url", "none"), p->node);
	nodes_refuse(p->env.nodes, p->why);
	if (!refused_before)
		log_error("cluster", "%s", p->why);
	p->registered = false;
	next(p);
}

/* The document is ours if it names this start, if it names an earlier start of our identity, or if it names no agent. */
static bool ours(const struct presence *p, const json_t *doc)
{
	const json_t *agent = json_object_get(doc, "agent");
	if (!p->env.shared || !agent || str_eq(doc_str(agent, "start", ""), p->start))
		return true;
	/* our identity, but started after us: an agent with a copy of our data. It keeps the name */
	bool refused = nodes_refused(p->env.nodes) != NULL;
	return str_eq(doc_str(agent, "id", ""), p->id) && !p->registered && !refused;
}

static void found(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct presence *p = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_FAILED)
		failed(p, err);
	else if (!doc || ours(p, doc) || !rival_beats(p, doc))
		write_it(p, doc, doc ? d->version : 0);
	else
		presence_refuse(p, doc);
}

static void seek(struct presence *p)
{
	store_get(p->env.store, COL_NODES, p->node, found, p);
}

static void beat(void *arg)
{
	struct presence *p = arg;
	if (p->busy)
		return;
	p->busy = true;
	p->races = 0;
	sample_take(&p->sample);
	seek(p);
}

/* --- life */

struct presence *presence_new(const struct presence_env *env)
{
	struct presence *p = XNEW(struct presence);
	p->env = *env;
	p->node = xstrdup(env->node);
	p->host = xstrdup(env->host);
	p->url = xstrdup(env->url);
	p->env.beat_ms = env->beat_ms ? env->beat_ms : NODES_BEAT_MS;
	p->env.lost_ms = env->lost_ms ? env->lost_ms : NODES_LOST_MS;
	p->timer = loop_timer_new(env->loop, beat, p);
	str_copy(p->why, sizeof p->why, "the node has not been registered yet");
	know_id(p);
	return p;
}

void presence_begin(struct presence *p)
{
	beat(p);
}

bool presence_healthy(const struct presence *p, const char **ret_why)
{
	*ret_why = p->beaten ? "" : p->why;
	return p->beaten;
}

void presence_stop(struct presence *p)
{
	if (!p)
		return;
	p->stopped = true;
	loop_timer_clear(p->timer);
}

void presence_free(struct presence *p)
{
	if (!p)
		return;
	loop_timer_free(p->timer);
	json_decref(p->doc);
	free(p->rival);
	free(p->node);
	free(p->host);
	free(p->url);
	free(p);
}
