#include "roles/rdp-server-manager/servers.h"

/* At the start: every server's record, page by page, while reads are answered already; then the agent is asked what runs. */
#define PAGE 500

struct load {
	struct manager *m;
	size_t offset;
};

static void next(struct load *w);

static void loaded(struct manager *m)
{
	m->loading = false;
	m->loaded = true;
	servers_gauge(m);
	log_info(SERVICE, "%zu servers, %zu of them not stopped", map_count(m->servers), servers_live(m));
	manager_unpark(m);
	manager_look(m);
	manager_idle(m);
}

static void page(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct load *w = arg;
	struct manager *m = w->m;
	if (result != STORE_OK) {
		log_warn(SERVICE, "the servers cannot be read yet: %s", err_text(err));
		free(w);
		m->loading = false;
		if (!m->draining)
			loop_timer_set(m->load_timer, 1000);
		manager_idle(m);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		const char *id = doc_str(doc, "server_id", "");
		if (!id_is_uuid(id))
			log_error(SERVICE, "a document of the store is no server and is left alone");
		else if (!map_get(m->servers, id) && !server_add(m, doc))
			log_error(SERVICE, "too many servers: %s is not looked after", id);
	}
	w->offset += n;
	if (n == PAGE) {
		next(w);
		return;
	}
	free(w);
	loaded(m);
}

static void next(struct load *w)
{
	struct store_query q = { .sort = { "id", false }, .offset = w->offset, .limit = PAGE };
	store_list(w->m->env.store, COL_SERVERS, &q, page, w);
}

void manager_load(struct manager *m)
{
	struct load *w = XNEW(struct load);
	w->m = m;
	m->loading = true;
	next(w);
}
