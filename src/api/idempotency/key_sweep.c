#include "api/idempotency/key_sweep.h"

#include "lucid/clock.h"

#define FIRST_MS 2000 /* by then the store is usually open */
#define EVERY_MS (10 * 60 * 1000)
#define MORE_MS 1000 /* before the next sweep, if more have expired than LIST_MAX */
#define LIST_MAX 256

struct key_sweep {
	struct store *store;
	struct loop_timer *timer;
	int64_t kept;
	bool asking, stopped, freed;
	size_t n, at; /* expired keys: found, and deleted so far */
	struct {
		char *id;
		int64_t version;
	} old[LIST_MAX];
};

static void forget_found(struct key_sweep *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->old[i].id);
	w->n = w->at = 0;
}

/* The store has called back. False: the sweep was stopped or freed. */
static bool goes_on(struct key_sweep *w)
{
	w->asking = false;
	if (w->freed) {
		forget_found(w);
		free(w);
		return false;
	}
	return !w->stopped;
}

static void drop_some(struct key_sweep *w);

static void on_dropped(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct key_sweep *w = arg;
	if (!goes_on(w))
		return;
	if (result == STORE_FAILED)
		w->at = w->n; /* the next sweep retries */
	drop_some(w); /* also after STORE_STALE: a key was claimed again, and the next sweep deletes the rest of this batch */
}

static void drop_some(struct key_sweep *w)
{
	struct store_op ops[STORE_MAX_OPS];
	size_t n = 0;
	for (; n < STORE_MAX_OPS && w->at < w->n; n++, w->at++)
		ops[n] = (struct store_op){ STORE_DELETE, COL_IDEMPOTENCY, w->old[w->at].id, w->old[w->at].version, NULL };
	if (n) {
		w->asking = true;
		store_write(w->store, ops, n, on_dropped, w);
		return;
	}
	loop_timer_set(w->timer, w->n == LIST_MAX ? MORE_MS : EVERY_MS);
	forget_found(w);
}

static void on_counted(enum store_result result, UNUSED struct blob *const *docs, UNUSED size_t n, int64_t total, UNUSED int err,
		       void *arg)
{
	struct key_sweep *w = arg;
	if (!goes_on(w))
		return;
	if (result == STORE_OK)
		w->kept = total - (int64_t)w->n;
	drop_some(w);
}

static void on_found(UNUSED enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err,
		     void *arg)
{
	struct key_sweep *w = arg;
	if (!goes_on(w))
		return;
	for (size_t i = 0; i < n && w->n < LIST_MAX; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		const char *id = doc_str(doc, "id", NULL);
		if (!id)
			continue;
		w->old[w->n].id = xstrdup(id);
		w->old[w->n++].version = doc_int(doc, "version", 0);
	}
	struct store_query all = { .want_total = true };
	w->asking = true;
	store_list(w->store, COL_IDEMPOTENCY, &all, on_counted, w);
}

static void on_sweep_due(void *arg)
{
	struct key_sweep *w = arg;
	struct store_query old = { .filters = { { .path = "expires_at", .cmp = STORE_LT, .number = clock_wall_ms() } },
				   .nfilters = 1, .limit = LIST_MAX };
	if (w->stopped || w->asking)
		return;
	w->asking = true;
	store_list(w->store, COL_IDEMPOTENCY, &old, on_found, w);
}

struct key_sweep *key_sweep_new(struct loop *l, struct store *s)
{
	struct key_sweep *w = XNEW(struct key_sweep);
	w->store = s;
	w->timer = loop_timer_new(l, on_sweep_due, w);
	loop_timer_set(w->timer, FIRST_MS);
	return w;
}

void key_sweep_stop(struct key_sweep *w)
{
	if (!w)
		return;
	w->stopped = true;
	loop_timer_clear(w->timer);
}

void key_sweep_free(struct key_sweep *w)
{
	if (!w)
		return;
	key_sweep_stop(w);
	loop_timer_free(TAKE_PTR(w->timer));
	w->freed = true;
	if (!w->asking)
		goes_on(w);
}

int64_t key_sweep_kept(const struct key_sweep *w)
{
	return w->kept;
}

void key_sweep_count(struct key_sweep *w, int64_t more)
{
	w->kept += more;
}
