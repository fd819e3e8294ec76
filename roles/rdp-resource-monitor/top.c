#include <stdlib.h>

#include "lucid/str.h"
#include "roles/rdp-resource-monitor/usage_doc.h"

/* GET /top: the heaviest servers or sessions. */

/* What each word compares: the sum of one or two members. */
static const struct {
	const char *by, *key[2];
} measures[] = {
	{ "cpu", { "cpu_core_percent" } },
	{ "memory", { "memory_bytes" } },
	{ "network", { "net_in_kbps", "net_out_kbps" } },
	{ "io", { "io_read_bps", "io_write_bps" } },
	{ "tasks", { "tasks" } },
};

struct top_item {
	double weight;
	const json_t *server, *desktop; /* desktop NULL: of servers */
};
struct top_list {
	size_t measure, n, room;
	struct top_item *item;
};

static void top_add(struct top_list *l, const json_t *server, const json_t *desktop)
{
	const json_t *doc = desktop ? desktop : server;
	double weight = 0;
	for (size_t k = 0; k < 2 && measures[l->measure].key[k]; k++) {
		const json_t *v = json_object_get(doc, measures[l->measure].key[k]);
		if (!json_is_number(v))
			return;
		weight += json_number_value(v);
	}
	if (l->n == l->room) {
		l->room = MAX(l->room * 2, (size_t)64);
		l->item = xrealloc(l->item, l->room * sizeof *l->item);
	}
	l->item[l->n++] = (struct top_item){ weight, server, desktop };
}

static int heavier(const void *a, const void *b)
{
	const struct top_item *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return strcmp(doc_str(x->server, "server_id", ""), doc_str(y->server, "server_id", ""));
}

static json_t *top_doc(const struct top_item *i)
{
	const json_t *of = i->desktop ? i->desktop : i->server;
	static const char *const figures[] = { "cpu_percent", "cpu_core_percent", "memory_bytes", "memory_percent", "net_in_kbps",
					       "net_out_kbps", "io_read_bps", "io_write_bps", "tasks", "sampled_at" };
	json_t *doc = json_object();
	doc_set_str(doc, "server_id", doc_str(i->server, "server_id", NULL));
	doc_set_str(doc, "name", doc_str(i->server, "name", NULL));
	doc_set_str(doc, "user_id", doc_str(i->server, "user_id", NULL));
	doc_set_str(doc, "node", doc_str(i->server, "node", NULL));
	doc_set(doc, "display", i->desktop ? json_incref(json_object_get(i->desktop, "display")) : NULL);
	doc_set_str(doc, "username", doc_str(i->desktop, "username", NULL));
	for (size_t k = 0; k < ARRAY_LEN(figures); k++)
		doc_set(doc, figures[k], json_incref(json_object_get(of, figures[k])));
	return doc;
}

void usage_top(json_t *out, const json_t *servers, const char *of, const char *by, size_t limit)
{
	struct top_list l = { 0 };
	json_t *items = json_array(), *server, *desktop;
	size_t i, k;
	while (l.measure + 1 < ARRAY_LEN(measures) && !str_eq(measures[l.measure].by, by))
		l.measure++;
	json_array_foreach(servers, i, server)
	{
		if (str_eq(of, "servers")) {
			top_add(&l, server, NULL);
			continue;
		}
		json_array_foreach(json_object_get(server, "desktops"), k, desktop)
			top_add(&l, server, desktop);
	}
	if (l.n)
		qsort(l.item, l.n, sizeof *l.item, heavier);
	for (i = 0; i < l.n && i < limit; i++)
		json_array_append_new(items, top_doc(&l.item[i]));
	doc_set_str(out, "of", of);
	doc_set_str(out, "by", by);
	doc_set(out, "items", items);
	free(l.item);
}
