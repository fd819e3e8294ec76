#include "roles/rdp-resource-monitor/usage_doc.h"

#include <stdio.h>

#include "roles/rdp-resource-monitor/rates.h"

static void set_rates_of(json_t *doc, const struct sample *sample, const enum resource *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		doc_set(doc, resources[list[i]].name, sample ? rates_value(sample->value[list[i]], list[i]) : NULL);
	doc_set_time(doc, "sampled_at", sample ? sample->time_ms : 0);
}

static void set_group_rates(json_t *doc, const struct sample *sample)
{
	static const enum resource list[] = { RES_CPU, RES_CPU_CORE, RES_MEMORY_PERCENT, RES_NET_IN, RES_NET_OUT, RES_IO_READ, RES_IO_WRITE };
	set_rates_of(doc, sample, list, ARRAY_LEN(list));
}

json_t *usage_node(const struct sampler *s, const char *node, const json_t *stats)
{
	static const enum resource list[] = { RES_NET_IN, RES_NET_OUT };
	json_t *doc = json_copy(json_object_get(stats, "host"));
	if (!doc)
		doc = json_object();
	json_object_del(doc, "clock_usec");
	doc_set_str(doc, "node", node);
	doc_set_int(doc, "servers", (int64_t)json_array_size(json_object_get(stats, "instances")));
	set_rates_of(doc, sample_latest(s, SAMPLE_NODE, node), list, ARRAY_LEN(list));
	return doc;
}

static json_t *usage_desktop(const struct sampler *s, const char *server_id, const json_t *desktop)
{
	char id[SAMPLE_ID_MAX];
	json_t *doc = json_copy((json_t *)(uintptr_t)desktop);
	snprintf(id, sizeof id, "%s:%d", server_id, (int)doc_int(desktop, "display", 0));
	set_group_rates(doc, sample_latest(s, SAMPLE_DESKTOP, id));
	return doc;
}

json_t *usage_server(const struct sampler *s, const char *node, const json_t *instance, const json_t *definition)
{
	json_t *doc = json_copy((json_t *)(uintptr_t)instance), *desktops = json_array(), *desktop;
	const char *id = doc_str(instance, "server_id", "");
	size_t i;
	doc_set_str(doc, "node", node);
	doc_set_str(doc, "name", doc_str(definition, "name", NULL));
	doc_set_str(doc, "user_id", doc_str(definition, "user_id", NULL));
	json_array_foreach(json_object_get(instance, "desktops"), i, desktop)
		json_array_append_new(desktops, usage_desktop(s, id, desktop));
	doc_set(doc, "desktops", desktops);
	set_group_rates(doc, sample_latest(s, SAMPLE_SERVER, id));
	return doc;
}

json_t *usage_session(const struct sampler *s, const json_t *instance, const json_t *session)
{
	static const char *const members[] = { "session_id", "user_id", "server_id", "node" };
	json_t *desktop;
	size_t i;
	json_array_foreach(json_object_get(instance, "desktops"), i, desktop)
	{
		if (doc_int(desktop, "display", 0) != doc_int(session, "display", -1))
			continue;
		json_t *doc = usage_desktop(s, doc_str(instance, "server_id", ""), desktop);
		for (size_t k = 0; k < ARRAY_LEN(members); k++)
			doc_set_str(doc, members[k], doc_str(session, members[k], NULL));
		return doc;
	}
	return NULL;
}

json_t *usage_totals(void)
{
	json_t *t = json_pack("{s:i, s:n, s:n, s:n, s:n, s:n, s:i, s:i}", "servers", 0, "cpu_usec", "memory_bytes", "tasks",
			      "io_read_bytes", "io_write_bytes", "bytes_in", 0, "bytes_out", 0);
	doc_set(t, "cpu_core_percent", NULL);
	doc_set(t, "net_in_kbps", NULL);
	doc_set(t, "net_out_kbps", NULL);
	doc_set(t, "sessions", json_pack("{s:i, s:i, s:i}", "active", 0, "disconnected", 0, "orphaned", 0));
	return t;
}

/* Adds one value to its total. A value that is unknown for all servers stays null. */
static void add_figure(json_t *total, const json_t *part, const char *key)
{
	const json_t *v = json_object_get(part, key), *sum = json_object_get(total, key);
	if (json_is_integer(v))
		doc_set_int(total, key, doc_int(total, key, 0) + json_integer_value(v));
	else if (json_is_real(v))
		doc_set(total, key, json_real(json_number_value(sum) + json_real_value(v)));
}

void usage_add(json_t *totals, const json_t *server)
{
	static const char *const figures[] = { "cpu_usec", "memory_bytes", "tasks", "io_read_bytes", "io_write_bytes", "bytes_in", "bytes_out",
					       "cpu_core_percent", "net_in_kbps", "net_out_kbps" };
	static const char *const counts[] = { "active", "disconnected", "orphaned" };
	for (size_t i = 0; i < ARRAY_LEN(figures); i++)
		add_figure(totals, server, figures[i]);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		add_figure(json_object_get(totals, "sessions"), json_object_get(server, "sessions"), counts[i]);
	doc_set_int(totals, "servers", doc_int(totals, "servers", 0) + 1);
}
