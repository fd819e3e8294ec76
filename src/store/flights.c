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

static const char *question(struct flights *f, const struct store_request *r)
{
	return store_question(&f->key, r);
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
