#include "roles/rdp-server-manager/servers.h"

#include "lucid/clock.h"

/* Records follow what other managers do: by their events as they come, by a look at what is in between every second, and by a
 * pass over the whole store now and then, or soon when events were missed. What an operation needs it reads from the store
 * itself; a record that is behind costs a wrong hint, never a wrong answer. */

#define READS_MAX 64 /* of single servers; past that a pass over all is due */
#define SCAN_PAGE 500

static bool idle(const struct server *s)
{
	return !s->running && list_empty(&s->tasks) && !s->doc && !s->writing && !s->unborn && !s->gone &&
	       s->stored_version == s->version;
}

/* A document of the store: the record comes up to it, or is made. */
static struct server *take_in(struct manager *m, const json_t *doc)
{
	const char *id = doc_str(doc, "server_id", "");
	struct server *s = map_get(m->servers, id);
	if (!s) {
		if (id_is_uuid(id) && (s = server_add(m, doc)))
			return s;
		log_error(SERVICE, "%s", id_is_uuid(id) ? "too many servers: some are not looked after"
							: "a document of the store is no server and is left alone");
		return NULL;
	}
	s->round = m->round;
	if (idle(s) && doc_int(doc, "version", 0) > s->version)
		server_sync(s, doc);
	return s;
}

void manager_page_seen(struct manager *m, const json_t *doc)
{
	take_in(m, doc);
}

void manager_follow(struct manager *m)
{
	if (!m->one_host && !m->loading && !m->draining)
		loop_timer_set(m->load_timer, POLL_MS);
}

/* --- one server, read because something was heard of it or it was missing in a pass */

struct reading {
	struct manager *m;
	char id[ID_UUID_SIZE];
};

static void read_one(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	_cleanup_(xfreep) struct reading *w = arg;
	struct manager *m = w->m;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	struct server *s = map_get(m->servers, w->id);
	m->reads--;
	m->under_way--;
	if (doc && !m->draining)
		take_in(m, doc);
	else if (result == STORE_MISSING && s && idle(s))
		server_drop(s);
	servers_gauge(m);
	manager_idle(m);
}

static bool read_server(struct manager *m, const char *id)
{
	struct reading *w = XNEW(struct reading);
	w->m = m;
	if (m->reads >= READS_MAX || !str_copy(w->id, sizeof w->id, id)) {
		free(w);
		return false;
	}
	m->reads++;
	m->under_way++;
	store_get(m->env.store, COL_SERVERS, w->id, read_one, w);
	return true;
}

void manager_pass_over(struct manager *m)
{
	struct map_pos pos = { 0 };
	struct server *s;
	while (map_next(m->servers, &pos, NULL, (void **)&s))
		if (s->round != m->round && idle(s) && !read_server(m, s->id))
			break; /* the others with the next pass */
	servers_gauge(m);
	if (!m->draining)
		loop_timer_set(m->load_timer, MAX(config_int(m->env.config, "HEALTH_CHECK_INTERVAL") * 1000,
						  (int64_t)map_count(m->servers)));
}

/* --- events of the others */

static void heard_created(struct manager *m, const struct event *e)
{
	if (map_get(m->servers, e->object_id))
		return;
	_cleanup_(doc_unrefp) json_t *doc = json_copy(e->data);
	doc_set_str(doc, "server_id", e->object_id);
	doc_set_str(doc, "user_id", e->user_id);
	take_in(m, doc);
}

static void heard_status(struct server *s, const json_t *data)
{
	int64_t version = doc_int(data, "version", 0);
	enum server_status status = s->status;
	if (s->waiting)
		loop_timer_set(s->poll, 1);
	if (!idle(s) || version <= s->version)
		return;
	server_status_from_string(doc_str(data, "status", ""), &status);
	server_count(s, status);
	s->stored_status = status;
	s->version = s->stored_version = version;
	s->seen_us = clock_mono_us();
}

static void heard(const struct event *e, void *ctx)
{
	struct manager *m = ctx;
	if (!*e->origin || !m->loaded || m->draining)
		return;
	struct server *s = map_get(m->servers, e->object_id);
	if (str_eq(e->topic, "server.created"))
		heard_created(m, e);
	else if (str_eq(e->topic, "server.deleted") && s && idle(s))
		server_drop(s);
	else if (str_eq(e->topic, "server.status") && s)
		heard_status(s, e->data);
	else if (!str_eq(e->topic, "server.deleted") && !read_server(m, e->object_id))
		manager_follow(m);
	servers_gauge(m);
}

/* --- what is in between */

static void stands_still(struct server *s)
{
	int64_t now = clock_mono_us(), since = MAX(s->seen_us, s->scanned_us);
	if (!in_between(s->status) || !idle(s) || now - since < s->m->busy_ms * 1000 ||
	    s->place->lost || !place_leads(s->place))
		return;
	s->scanned_us = now;
	server_observe(s);
}

static void scanned(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct manager *m = arg;
	m->scanning = false;
	m->under_way--;
	for (size_t i = 0; result == STORE_OK && i < n && !m->draining; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		struct server *s = doc ? take_in(m, doc) : NULL;
		if (s)
			stands_still(s);
	}
	m->scan_offset = result == STORE_OK && n == SCAN_PAGE ? m->scan_offset + n : 0;
	manager_idle(m);
}

static void scan(void *arg)
{
	static const char *const between[] = { "creating", "configuring", "starting", "stopping", NULL };
	struct manager *m = arg;
	if (m->draining)
		return;
	loop_timer_set(m->scan_timer, m->scan_ms);
	manager_lead(m);
	manager_say(m);
	if (m->scanning || !m->loaded)
		return;
	struct store_query q = { .filters = { { .path = "status", .cmp = STORE_IN, .list = between } }, .nfilters = 1,
				 .sort = { "id", false }, .offset = m->scan_offset, .limit = SCAN_PAGE };
	m->scanning = true;
	m->under_way++;
	store_list(m->env.store, COL_SERVERS, &q, scanned, m);
}

void shared_begin(struct manager *m)
{
	if (m->one_host)
		return;
	m->foreign = bus_subscribe(m->env.bus, "server.*", heard, m);
	m->scan_timer = loop_timer_new(m->env.loop, scan, m);
	loop_timer_set(m->scan_timer, SCAN_MS);
}

void shared_end(struct manager *m)
{
	bus_unsubscribe(m->foreign);
	loop_timer_free(m->scan_timer);
}
