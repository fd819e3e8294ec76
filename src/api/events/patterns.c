#include "api/events/patterns.h"

#include "lucid/str.h"

char *patterns_read(const char *topics, struct faults *f)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._*-";
	size_t len = strlen(topics), n = 1;
	char *list = xcalloc(1, len + 2);
	for (const char *p = topics;; n++) {
		size_t part = strcspn(p, ",");
		if (!part || part > PATTERN_MAX || strspn(p, good) < part || n > PATTERNS_MAX) {
			faults_add(f, "topics", "must be up to %d comma-separated patterns of 1 to %d letters, digits, '.', '_', '-' and '*'",
				   PATTERNS_MAX, PATTERN_MAX);
			free(list);
			return NULL;
		}
		memcpy(list + (p - topics), p, part);
		if (!p[part])
			return list;
		p += part + 1;
	}
}

bool patterns_match(const char *patterns, const char *topic)
{
	for (const char *p = patterns; p && *p; p += strlen(p) + 1)
		if (str_match(p, topic))
			return true;
	return !patterns;
}
