#include "roles/rdp-server-manager/servers.h"

/* At the start: every server's record, page by page, while reads are answered already; then the agent is asked what runs.
 * Where others write too, the same pass is made now and then (follow.c). */
#define PAGE 500

struct load {
	struct manager *m;
	size_t offset;
};

static void next(struct load *w);

static void loaded(struct manager *m)
{
	m->loading = false;
	if (!m->one_host)
		manager_pass_over(m);
	if (m->loaded) {
		manager_idle(m);
		return;
	}
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
		manager_page_seen(m, doc);
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
	m->round++;
	next(w);
}
