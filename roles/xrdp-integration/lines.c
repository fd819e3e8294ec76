#include "roles/xrdp-integration/lines.h"

#include <time.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define LINES_MAX 5000 /* maximum of host.logs */

static const struct {
	const char *mark; /* as in xrdp's log */
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

/* Converts an RFC 3339 time to the stamp of xrdp's log, "[20261121-10:00:00]", in local time: this process runs on the same host. */
static bool stamp_of(const char *since, char dst[20])
{
	int64_t ms = 0;
	if (!since || !clock_from_iso(since, &ms))
		return false;
	time_t s = ms / 1000;
	struct tm tm;
	return localtime_r(&s, &tm) && strftime(dst, 20, "[%Y%m%d-%H:%M:%S", &tm) == 18;
}

/* Selects lines of a log. A line without a time or a level is treated like the line before it. */
struct pick {
	char from[20];
	bool all, in; /* no time filter; the last time seen matches the filter */
	int level, last;
};

static void pick_init(struct pick *p, const char *from, const char *level)
{
	p->all = p->in = !stamp_of(from, p->from);
	p->level = level_from_name(level);
	p->last = 3;
}

static bool pick_takes(struct pick *p, const char *line)
{
	if (!p->all && line[0] == '[' && strlen(line) > 18 && line[18] == ']')
		p->in = strncmp(line, p->from, 18) >= 0;
	if (!p->in)
		return false;
	int found = lines_level(line);
	p->last = found < 0 ? p->last : found;
	return p->last >= p->level;
}

static const char *from_of(const json_t *query)
{
	return doc_str(query, "from", doc_str(query, "since", NULL));
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
				  json_pack("[{s:s, s:s}]", "field", "source", "message", "must be a server_id, or xrdp or sesman for the host's own"),
				  NULL);
		return NULL;
	}
	if (doc_get(query, "from") && doc_get(query, "since")) {
		json_decref(doc);
		call_fail_details(c, ERR_INVALID,
				  json_pack("[{s:s, s:s}]", "field", "since", "message", "cannot be combined with `from`, which replaces it"), NULL);
		return NULL;
	}
	if (id_is_uuid(source))
		doc_set_str(doc, "server_id", source);
	else
		doc_set_str(doc, "source", source);
	/* matching lines can be rare, so select from as many as the host returns */
	doc_set_int(doc, "lines", doc_get(query, "level") || from_of(query) ? LINES_MAX : doc_int(query, "lines", 200));
	return doc;
}

json_t *lines_ask_deleted(struct call *c)
{
	json_t *doc = lines_ask(c);
	if (doc)
		doc_set_bool(doc, "deleted", true);
	return doc;
}

json_t *lines_answer(struct call *c, json_t *doc)
{
	json_t *query = call_query(c), *lines = json_object_get(doc, "lines"), *sources = json_object_get(doc, "sources"), *line;
	json_t *out = json_object(), *out_lines = json_array(), *out_sources = json_is_array(sources) ? json_array() : NULL;
	_cleanup_(xfreep) size_t *kept = xcalloc(json_array_size(lines) + 1, sizeof *kept);
	size_t most = (size_t)doc_int(query, "lines", 200), n = 0, i;
	struct pick p;
	pick_init(&p, from_of(query), doc_str(query, "level", NULL));
	json_array_foreach(lines, i, line)
		if (pick_takes(&p, json_string_value(line) ? json_string_value(line) : ""))
			kept[n++] = i;
	for (i = n > most ? n - most : 0; i < n; i++) {
		json_array_append(out_lines, json_array_get(lines, kept[i]));
		if (out_sources)
			json_array_append(out_sources, json_array_get(sources, kept[i]));
	}
	doc_set(out, "lines", out_lines);
	doc_set(out, "sources", out_sources);
	return out;
}
