#include "roles/xrdp-integration/lines.h"

#include <time.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define LINES_MAX 5000 /* host.logs gives no more */

static const struct {
	const char *mark; /* in xrdp's log */
	int level;
} marks[] = {
	{ "[TRACE]", 0 }, { "[DEBUG]", 0 }, { "[INFO ]", 1 }, { "[INFO]", 1 }, { "[WARN ]", 2 }, { "[WARN]", 2 },
	{ "[ERROR]", 3 }, { "[CORE ]", 3 }, { "[CORE]", 3 },
};
static const char *const names[] = { "debug", "info", "warning", "error" };

int lines_level(const char *line)
{
	const char *p = strchr(line, ']');
	if (line[0] != '[' || !p)
		return -1;
	p += strspn(p + 1, " ") + 1;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (str_starts(p, marks[i].mark))
			return marks[i].level;
	return -1;
}

static int level_from_name(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (str_eq(names[i], name))
			return (int)i;
	return 0;
}

/* "2026-11-21T10:00:00Z" as xrdp writes times, "[20261121-10:00:00]": the host's own time, and this process is on it. */
static bool stamp_of(const char *since, char dst[20])
{
	int64_t ms = 0;
	if (!since || !clock_from_iso(since, &ms))
		return false;
	time_t s = ms / 1000;
	struct tm tm;
	return localtime_r(&s, &tm) && strftime(dst, 20, "[%Y%m%d-%H:%M:%S", &tm) == 18;
}

json_t *lines_since(const json_t *lines, const char *since)
{
	char from[20];
	bool all = !stamp_of(since, from), in = all;
	json_t *kept = json_array(), *line;
	size_t i;
	json_array_foreach(lines, i, line)
	{
		const char *s = json_string_value(line) ? json_string_value(line) : "";
		if (!all && s[0] == '[' && strlen(s) > 18 && s[18] == ']')
			in = strncmp(s, from, 18) >= 0;
		if (in)
			json_array_append(kept, line);
	}
	return kept;
}

json_t *lines_pick(const json_t *lines, const char *level, size_t most)
{
	int wanted = level_from_name(level), last = 3;
	json_t *kept = json_array(), *line;
	size_t i;
	json_array_foreach(lines, i, line)
	{
		int found = lines_level(json_string_value(line) ? json_string_value(line) : "");
		last = found < 0 ? last : found;
		if (last >= wanted)
			json_array_append(kept, line);
	}
	while (json_array_size(kept) > most)
		json_array_remove(kept, 0);
	return kept;
}

json_t *lines_ask(struct call *c)
{
	json_t *query = call_query(c), *doc = json_object();
	const char *source = doc_str(query, "source", NULL);
	if (!source)
		source = call_param(c, "server_id");
	if (!id_is_uuid(source) && !str_eq(source, "xrdp") && !str_eq(source, "sesman")) {
		json_decref(doc);
		call_fail_details(c, ERR_INVALID,
				  json_pack("[{s:s, s:s}]", "field", "source", "message", "a server_id, or xrdp or sesman for the host's own"),
				  NULL);
		return NULL;
	}
	if (id_is_uuid(source))
		doc_set_str(doc, "server_id", source);
	else
		doc_set_str(doc, "source", source);
	/* lines of a level can be rare: pick them from all there are */
	doc_set_int(doc, "lines", doc_get(query, "level") || doc_get(query, "since") ? LINES_MAX : doc_int(query, "lines", 200));
	return doc;
}

json_t *lines_answer(struct call *c, json_t *doc)
{
	json_t *query = call_query(c);
	_cleanup_(doc_unrefp) json_t *late = lines_since(json_object_get(doc, "lines"), doc_str(query, "since", NULL));
	return json_pack("{s:o}", "lines",
			 lines_pick(late, doc_str(query, "level", NULL),
				    (size_t)doc_int(query, "lines", 200)));
}
