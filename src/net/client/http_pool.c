#include "net/client/http_pool.h"

#include "lucid/clock.h"

static void on_bury(struct loop_task *t)
{
	struct http_pool *p = CONTAINER_OF(t, struct http_pool, bury);
	while (!list_empty(&p->doomed))
		link_free(CONTAINER_OF(p->doomed.next, struct link, node));
}

void pool_doom(struct http_pool *p, struct link *k)
{
	if (k->idle_since_ms)
		p->n_idle--;
	k->idle_since_ms = 0;
	list_remove(&k->node);
	list_append(&p->doomed, &k->node);
	loop_defer(p->loop, &p->bury);
}

void pool_keep(struct http_pool *p, struct link *k)
{
	struct link *other, *oldest = NULL;
	unsigned same = 0;
	list_remove(&k->node);
	list_prepend(&p->idle, &k->node);
	k->idle_since_ms = clock_mono_ms();
	p->n_idle++;
	if (p->n_idle > POOL_IDLE_ORIGIN)
		LIST_FOREACH(other, &p->idle, node)
			if (http_url_same_origin(&other->origin, &k->origin)) {
				same++;
				oldest = other;
			}
	if (same > POOL_IDLE_ORIGIN)
		pool_doom(p, oldest);
	else if (p->n_idle > POOL_IDLE_ALL)
		pool_doom(p, CONTAINER_OF(p->idle.prev, struct link, node));
	if (!loop_timer_pending(p->sweep))
		loop_timer_set(p->sweep, POOL_IDLE_MS);
}

struct link *pool_take(struct http_pool *p, const struct http_url *origin)
{
	struct link *k, *tmp;
	LIST_FOREACH_SAFE(k, tmp, &p->idle, node) {
		if (!http_url_same_origin(&k->origin, origin))
			continue;
		if (link_is_gone(k)) {
			pool_doom(p, k);
			continue;
		}
		p->n_idle--;
		k->idle_since_ms = 0;
		list_remove(&k->node);
		return k;
	}
	return NULL;
}

static void on_sweep(void *arg)
{
	struct http_pool *p = arg;
	int64_t now_ms = clock_mono_ms();
	while (!list_empty(&p->idle)) {
		struct link *k = CONTAINER_OF(p->idle.prev, struct link, node);
		int64_t left_ms = k->idle_since_ms + POOL_IDLE_MS - now_ms;
		if (left_ms > 0) {
			loop_timer_set(p->sweep, left_ms);
			return;
		}
		link_free(k);
		p->n_idle--;
	}
}

void pool_drop(struct http_pool *p, const struct http_url *origin)
{
	struct link *k, *tmp;
	LIST_FOREACH_SAFE(k, tmp, &p->idle, node)
		if (!origin || http_url_same_origin(&k->origin, origin))
			pool_doom(p, k);
}

void pool_init(struct http_pool *p, struct loop *l)
{
	*p = (struct http_pool){ .loop = l };
	list_init(&p->idle);
	list_init(&p->doomed);
	loop_task_init(&p->bury, on_bury);
	p->sweep = loop_timer_new(l, on_sweep, p);
}

void pool_done(struct http_pool *p)
{
	pool_drop(p, NULL);
	loop_undefer(&p->bury);
	on_bury(&p->bury);
	loop_timer_free(p->sweep);
}
