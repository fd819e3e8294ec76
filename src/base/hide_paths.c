#include "lucid/str.h"

/* Routes of the API look like absolute paths but are kept: a message that names one needs it. */
static bool is_route(const char *s)
{
	static const char *const routes[] = { "/api/", "/health", "/metrics", "/openapi.json", "/docs", "/events", "/nodes", "/servers", "/player" };
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		if (str_starts(s, routes[i]))
			return true;
	return false;
}

/* A slash inside a word ("and/or", a URL, a media type) does not begin a path. */
static bool begins_path(const char *text, const char *s)
{
	return *s == '/' && s[1] && s[1] != '/' && !strchr(" \t\n", s[1]) && (s == text || strchr(" \t\n(\"'=,:[<", s[-1])) && !is_route(s);
}

void strbuf_without_paths(struct strbuf *b, const char *text)
{
	for (const char *s = text; *s;) {
		if (!begins_path(text, s)) {
			strbuf_putc(b, *s++);
			continue;
		}
		strbuf_puts(b, "FILE");
		s += strcspn(s, " \t\n()\"',;]>");
		/* a '.' or ':' at the end belongs to the sentence, not to the path */
		while (s > text && strchr(".:", s[-1]))
			s--;
	}
}
