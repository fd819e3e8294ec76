#include "store/flights.h"

#include "lucid/map.h"
#include "lucid/str.h"

struct flights {
	struct map *flights; /* question → struct flight; bounded by the front's limit on reads */
	struct strbuf key;
};

struct flight {
	struct store_request *going;
	bool departed;
	struct list waiting;
};

static void add_text(struct strbuf *b, const char *text)
{
	strbuf_printf(b, "%zu:%s;", strlen(text), text);
}

static void add_filter(struct strbuf *b, const struct store_filter *f)
{
	strbuf_printf(b, "%s%d,%lld,", f->path, (int)f->cmp, (long long)f->number);
	if (f->text)
		add_text(b, f->text);
	for (size_t i = 0; f->cmp == STORE_IN && f->list[i]; i++)
		add_text(b, f->list[i]);
}

/* The key of a request: all that the answer depends on. It contains no NUL. */
static const char *question(struct flights *f, const struct store_request *r)
{
	const struct store_query *q = &r->query;
	strbuf_reset(&f->key);
	if (r->kind == STORE_KIND_GET) {
		strbuf_printf(&f->key, "get %d ", (int)r->ops[0].col);
		add_text(&f->key, r->ops[0].id);
		return f->key.s;
	}
	strbuf_printf(&f->key, "list %d %zu %zu %d %s%s ", (int)r->col, q->offset, q->limit, q->want_total, q->sort.descending ? "-" : "+",
		      q->sort.path ? q->sort.path : "");
	for (size_t i = 0; i < q->nfilters; i++)
		add_filter(&f->key, &q->filters[i]);
	return f->key.s;
}

bool flights_enter(struct flights *f, struct store_request *r)
{
	const char *key = question(f, r);
	struct flight *at = map_get(f->flights, key);
	if (at) {
		list_append(at->departed ? &at->waiting : &at->going->same, &r->node);
		return false;
	}
	at = XNEW(struct flight);
	at->going = r;
	list_init(&at->waiting);
	map_put(f->flights, key, at, NULL);
	return true;
}

void flights_depart(struct flights *f, const struct store_request *r)
{
	((struct flight *)map_get(f->flights, question(f, r)))->departed = true;
}

static void move_all(struct list *from, struct list *to)
{
	struct list *n;
	while ((n = list_take_first(from)))
		list_append(to, n);
}

/* The first waiting request that was not given up departs; the others join it. */
static struct store_request *next_of(struct list *waiting, struct list *ret_same)
{
	struct list *n;
	while ((n = list_take_first(waiting))) {
		struct store_request *r = CONTAINER_OF(n, struct store_request, node);
		if (!r->answered) {
			move_all(waiting, &r->same);
			return r;
		}
		list_append(ret_same, n);
	}
	return NULL;
}

struct store_request *flights_leave(struct flights *f, struct store_request *r, struct list *ret_same)
{
	const char *key = question(f, r);
	struct flight *at = map_get(f->flights, key);
	struct list waiting;
	list_init(&waiting);
	/* given up before the driver started it: the requests that joined it have no answer yet */
	move_all(&r->same, store_request_begun(r) ? ret_same : &waiting);
	move_all(&at->waiting, &waiting);
	at->departed = false;
	at->going = next_of(&waiting, ret_same);
	if (at->going)
		return at->going;
	map_remove(f->flights, key);
	free(at);
	return NULL;
}

struct flights *flights_new(void)
{
	struct flights *f = XNEW(struct flights);
	f->flights = map_new(SIZE_MAX);
	return f;
}

void flights_free(struct flights *f)
{
	if (!f)
		return;
	map_free(f->flights, free);
	strbuf_done(&f->key);
	free(f);
}
