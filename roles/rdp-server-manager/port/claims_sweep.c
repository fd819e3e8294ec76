#include "roles/rdp-server-manager/port/claims_sweep.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/lease.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/port/claims.h"
#include "roles/rdp-server-manager/port/ports.h"
#include "roles/rdp-server-manager/server/server.h"

/* Releases claims without a server, which a crash between two writes of a list leaves behind. A claim is released when it is older than a
 * minute and the store has no such server, or the server has another port or name. The sweep also updates the port hints with the claims of
 * other managers. Claims are handled one at a time, to keep the load low.
 *
 * With several managers, whose clocks may differ, the age of a claim is the time since it was first seen here without its server. Only the
 * manager with the lease releases claims. */
#define SWEEP_EVERY_MS 300000
#define STRAY_AGE_MS 60000
#define PAGE 200

struct sweep {
	struct manager *m;
	enum store_collection col;
	size_t offset, at, n, dropped;
	json_t *claims[PAGE];
};

static void step(struct sweep *w);
static void next_page(struct sweep *w);

static void clear(struct sweep *w)
{
	for (size_t i = 0; i < w->n; i++)
		json_decref(w->claims[i]);
	w->n = w->at = 0;
}

static void sweep_end(struct sweep *w)
{
	struct manager *m = w->m;
	clear(w);
	free(w);
	m->sweeping = false;
	objects_figures(m->objects);
	objects_release(m->objects);
}

static const char *claim_id(const struct sweep *w, const json_t *claim, char dst[CLAIM_ID_SIZE])
{
	if (w->col == COL_PORTS)
		return claim_port_id(dst, doc_str(claim, "node", ""), (int)doc_int(claim, "port", 0));
	return claim_name_id(dst, doc_str(claim, "owner", ""), doc_str(claim, "name", ""));
}

static bool held(const struct sweep *w, const json_t *claim, const json_t *server)
{
	if (!server)
		return false;
	if (w->col == COL_PORTS)
		return doc_int(claim, "port", 0) == doc_int(server, "port", -1) &&
		       str_eq(doc_str(claim, "node", ""), doc_str(server, "node", ""));
	return str_eq(doc_str(claim, "name", ""), doc_str(server, "name", "")) &&
	       str_eq(doc_str(claim, "owner", ""), doc_str(server, "user_id", ""));
}

static void given_back(void *arg)
{
	struct sweep *w = arg;
	if (w->col == COL_PORTS) {
		const json_t *claim = w->claims[w->at - 1];
		int port = (int)doc_int(claim, "port", 0);
		struct place *p = place_of(w->m, doc_str(claim, "node", ""));
		if (ports_get(p->ports, port) == PORT_RESERVED)
			ports_set(p->ports, port, PORT_AVAILABLE);
	}
	w->dropped++;
	step(w);
}

/* True if the claim has been without a server for long enough, and this manager may release it. */
static bool old_enough(struct sweep *w, const json_t *claim)
{
	struct manager *m = w->m;
	char id[CLAIM_ID_SIZE], key[CLAIM_ID_SIZE + 8];
	int64_t *since, now = clock_mono_ms();
	if (m->one_host)
		return true;
	snprintf(key, sizeof key, "%d %s", (int)w->col, claim_id(w, claim, id));
	since = map_get(m->strays, key);
	if (since && now - *since >= STRAY_AGE_MS) {
		free(map_remove(m->strays, key));
		return lease_held(m->sweeper);
	}
	if (!since) {
		since = XNEW(int64_t);
		*since = now;
		if (!map_put(m->strays, key, since, NULL))
			free(since);
	}
	return false;
}

static void give_back(struct sweep *w, const json_t *claim)
{
	struct claims_back *b = XNEW(struct claims_back);
	const char *server = doc_str(claim, "server_id", "");
	char id[CLAIM_ID_SIZE];
	b->store = w->m->env.store;
	b->version = claim_version(server);
	memcpy(w->col == COL_PORTS ? b->port_id : b->name_id, claim_id(w, claim, id), sizeof id);
	b->done = given_back;
	b->arg = w;
	log_info(SERVICE, "the claim on %s %s belongs to no server (%s) and is released", w->col == COL_PORTS ? "port" : "name", id, server);
	claims_give_back(b);
}

static void sought(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct sweep *w = arg;
	const json_t *claim = w->claims[w->at - 1];
	_cleanup_(doc_unrefp) json_t *server = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_FAILED || objects_draining(w->m->objects)) {
		sweep_end(w);
	} else if (result == STORE_OK && (!server || held(w, claim, server))) {
		/* created by another manager, or the response of the store was lost: keep a record from now on */
		if (server && !objects_record(w->m->objects, doc_str(server, "server_id", "")))
			objects_add(w->m->objects, server);
		step(w);
	} else if (old_enough(w, claim)) {
		give_back(w, claim);
	} else {
		step(w);
	}
}

/* True if the store must be read: the claim is old, and no record here matches it. */
static bool doubtful(struct sweep *w, const json_t *claim)
{
	const char *id = doc_str(claim, "server_id", "");
	const struct server *s = (struct server *)objects_record(w->m->objects, id);
	int64_t made = 0;
	clock_from_iso(doc_str(claim, "created_at", ""), &made);
	int port = (int)doc_int(claim, "port", 0);
	struct place *p = w->col == COL_PORTS ? place_of(w->m, doc_str(claim, "node", "")) : NULL;
	if (p && ports_get(p->ports, port) == PORT_AVAILABLE)
		ports_set(p->ports, port, PORT_RESERVED);
	if (!id_is_uuid(id) || (w->m->one_host && clock_wall_ms() - made < STRAY_AGE_MS))
		return false;
	if (s && (s->o.unborn || s->o.running))
		return false;
	return w->col == COL_NAMES || !s || s->port != port;
}

static void step(struct sweep *w)
{
	while (w->at < w->n) {
		const json_t *claim = w->claims[w->at++];
		if (doubtful(w, claim)) {
			store_get(w->m->env.store, COL_SERVERS, doc_str(claim, "server_id", ""), sought, w);
			return;
		}
	}
	bool more = w->n == PAGE;
	w->offset += w->n;
	clear(w);
	if (more) {
		w->offset -= MIN(w->offset, w->dropped); /* released claims have left the list */
		w->dropped = 0;
		next_page(w);
	} else if (w->col == COL_PORTS) {
		w->col = COL_NAMES;
		w->offset = w->dropped = 0;
		next_page(w);
	} else {
		sweep_end(w);
	}
}

static void page(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct sweep *w = arg;
	if (result != STORE_OK || objects_draining(w->m->objects)) {
		sweep_end(w);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		json_t *claim = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		w->claims[w->n++] = claim ? claim : json_object();
	}
	step(w);
}

static void next_page(struct sweep *w)
{
	struct store_query q = { .sort = { "id", false }, .offset = w->offset, .limit = PAGE };
	store_list(w->m->env.store, w->col, &q, page, w);
}

void claims_sweep(struct manager *m)
{
	int64_t now = clock_mono_ms();
	if (m->sweeping || !objects_loaded(m->objects) || (m->swept_ms && now - m->swept_ms < SWEEP_EVERY_MS))
		return;
	m->swept_ms = now;
	m->sweeping = true;
	objects_hold(m->objects);
	struct sweep *w = XNEW(struct sweep);
	w->m = m;
	w->col = COL_PORTS;
	next_page(w);
}
