#include "object/set.h"

/* A pass reads the whole collection, page by page: at the start, and periodically if other processes write too. */

#define PAGE 500

static void pass_next_page(struct objects *set);

static void pass_ended(struct objects *set)
{
	set->loading = false;
	if (!set->env.alone)
		objects_pass_over(set);
	if (!set->loaded) {
		set->loaded = true;
		objects_figures(set);
		objects_unpark(set);
		if (set->kind->loaded)
			set->kind->loaded(set);
	}
	objects_idle(set);
}

static void pass_failed(struct objects *set, int err)
{
	log_warn(set->kind->service, "the %s cannot be read from the store: %s; retrying", set->kind->plural, err_text(err));
	set->loading = false;
	if (!set->draining)
		loop_timer_set(set->load_timer, 1000);
	objects_idle(set);
}

static void pass_page_read(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct objects *set = arg;
	if (result != STORE_OK) {
		pass_failed(set, err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		objects_page_seen(set, doc);
	}
	set->load_offset += n;
	if (n == PAGE)
		pass_next_page(set);
	else
		pass_ended(set);
}

static void pass_next_page(struct objects *set)
{
	struct store_query q = { .sort = { "id", false }, .offset = set->load_offset, .limit = PAGE };
	store_list(set->env.store, set->kind->collection, &q, pass_page_read, set);
}

void objects_load(struct objects *set)
{
	set->loading = true;
	set->round++;
	set->load_offset = 0;
	pass_next_page(set);
}
