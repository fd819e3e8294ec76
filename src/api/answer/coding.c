#include "api/answer/coding.h"

#include <strings.h>

/* The weight that follows the name: true unless it is 0, 0.0, 0.00 or 0.000. */
static bool weight_above_0(const char *s)
{
	s += strspn(s, " \t");
	if (*s != ';')
		return true;
	s += 1 + strspn(s + 1, " \t");
	if (strncasecmp(s, "q=", 2) != 0)
		return true;
	s += 2;
	return s[strspn(s, "0.")] >= '1' && s[strspn(s, "0.")] <= '9';
}

bool coding_accepted(const char *header, const char *coding)
{
	size_t len = strlen(coding);
	for (const char *s = header; s && *s;) {
		s += strspn(s, " \t,");
		size_t n = strcspn(s, " \t,;");
		if (n == len && !strncasecmp(s, coding, len))
			return weight_above_0(s + n);
		s += strcspn(s, ",");
	}
	return false;
}
