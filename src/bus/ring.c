#include "bus/ring.h"

#include <stdio.h>

#include "lucid/str.h"

#define ID_SIZE sizeof((struct event *)0)->id

struct ring {
	struct ring_event events[RING_EVENTS];
	size_t first, n, bytes;
	char origin[ID_SIZE]; /* the part of this process's event ids before the dash */
	uint64_t gone;	      /* number of the latest event that was dropped */
	char last[ID_SIZE];
};

/* "<hex>-<number>" */
static bool id_split(const char *id, char ret_origin[ID_SIZE], uint64_t *ret_number)
{
	const char *dash = strchr(id, '-');
	int64_t n;
	if (!dash || dash == id || strlen(id) >= ID_SIZE || !str_int(dash + 1, 0, INT64_MAX, &n))
		return false;
	memcpy(ret_origin, id, (size_t)(dash - id));
	ret_origin[dash - id] = 0;
	*ret_number = (uint64_t)n;
	return true;
}

struct ring *ring_new(const char *last_id)
{
	struct ring *r = XNEW(struct ring);
	bool good = id_split(last_id, r->origin, &r->gone);
	if (!good)
		abort();
	memcpy(r->last, last_id, strlen(last_id) + 1);
	return r;
}

static void drop_oldest(struct ring *r)
{
	struct ring_event *e = &r->events[r->first];
	r->gone = e->number;
	r->bytes -= e->text->len;
	r->first = (r->first + 1) % RING_EVENTS;
	r->n--;
	blob_unref(e->text);
	free(e->topic);
	free(e->user_id);
	free(e->viewer_id);
	free(e->origin);
}

void ring_free(struct ring *r)
{
	while (r && r->n)
		drop_oldest(r);
	free(r);
}

void ring_add(struct ring *r, const struct event *e, struct blob *text)
{
	char origin[ID_SIZE];
	uint64_t number = 0;
	if (!id_split(e->id, origin, &number))
		abort(); /* the bus makes valid ids */
	memcpy(r->last, e->id, ID_SIZE);
	if (text->len > RING_BYTES) {
		while (r->n)
			drop_oldest(r);
		r->gone = number;
		return;
	}
	while (r->n == RING_EVENTS || r->bytes + text->len > RING_BYTES)
		drop_oldest(r);
	struct ring_event *to = &r->events[(r->first + r->n++) % RING_EVENTS];
	to->number = number;
	memcpy(to->id, e->id, ID_SIZE);
	to->topic = xstrdup(e->topic);
	to->user_id = xstrdup(e->user_id);
	to->viewer_id = xstrdup(e->viewer_id ? e->viewer_id : "");
	to->origin = xstrdup(e->origin ? e->origin : "");
	to->seq = e->seq;
	to->text = blob_ref(text);
	r->bytes += text->len;
}

size_t ring_count(const struct ring *r)
{
	return r->n;
}

const struct ring_event *ring_at(const struct ring *r, size_t i)
{
	return &r->events[(r->first + i) % RING_EVENTS];
}

enum ring_place ring_find(const struct ring *r, const char *id, size_t *ret_next)
{
	char origin[ID_SIZE], last_origin[ID_SIZE];
	uint64_t number, last = 0;
	*ret_next = 0;
	id_split(r->last, last_origin, &last);
	if (!id_split(id, origin, &number) || !str_eq(origin, r->origin) || number > last)
		return RING_FOREIGN;
	if (number < r->gone)
		return RING_TOO_OLD;
	while (*ret_next < r->n && ring_at(r, *ret_next)->number <= number)
		++*ret_next;
	return RING_KNOWN;
}

void ring_first_id(const struct ring *r, char ret[ID_SIZE])
{
	snprintf(ret, ID_SIZE, "%.11s-%llu", r->origin, (unsigned long long)(r->gone % 10000000000));
}

const char *ring_last_id(const struct ring *r)
{
	return r->last;
}
