#include "roles/rdp-session-controller/message/pace.h"

#include "lucid/map.h"

struct pace_host {
	size_t in_flight;
};
struct pace {
	size_t on_each, in_all, in_flight;
	size_t n, first;	  /* items; all before `first` have begun */
	size_t *items;		  /* in the order in which they were added */
	bool *begun;		  /* by the same index */
	struct pace_host **hosts; /* by the number of the item */
	struct map *by_name;
};

struct pace *pace_new(size_t on_each_host, size_t in_all, size_t max_items)
{
	struct pace *p = XNEW(struct pace);
	*p = (struct pace){ .on_each = on_each_host, .in_all = in_all };
	p->items = xcalloc(max_items + 1, sizeof *p->items);
	p->begun = xcalloc(max_items + 1, sizeof *p->begun);
	p->hosts = xcalloc(max_items + 1, sizeof *p->hosts);
	p->by_name = map_new(max_items + 1);
	return p;
}

void pace_free(struct pace *p)
{
	free(p->items);
	free(p->begun);
	free(p->hosts);
	map_free(p->by_name, free);
	free(p);
}

void pace_add(struct pace *p, const char *host, size_t item)
{
	struct pace_host *h = map_get(p->by_name, host);
	if (!h) {
		h = XNEW(struct pace_host);
		*h = (struct pace_host){ 0 };
		map_put(p->by_name, host, h, NULL);
	}
	p->hosts[item] = h;
	p->items[p->n++] = item;
}

static void pass_begun(struct pace *p)
{
	while (p->first < p->n && p->begun[p->first])
		p->first++;
}

bool pace_begin(struct pace *p, size_t *ret_item)
{
	for (size_t i = p->first; p->in_flight < p->in_all && i < p->n; i++) {
		struct pace_host *h = p->hosts[p->items[i]];
		if (p->begun[i] || h->in_flight >= p->on_each)
			continue;
		p->begun[i] = true;
		p->in_flight++;
		h->in_flight++;
		*ret_item = p->items[i];
		pass_begun(p);
		return true;
	}
	return false;
}

void pace_end(struct pace *p, size_t item)
{
	p->in_flight--;
	p->hosts[item]->in_flight--;
}

bool pace_give_up(struct pace *p, size_t *ret_item)
{
	if (p->first >= p->n)
		return false;
	*ret_item = p->items[p->first];
	p->begun[p->first] = true;
	pass_begun(p);
	return true;
}

bool pace_idle(const struct pace *p)
{
	return !p->in_flight;
}
