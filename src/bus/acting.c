#include "bus/acting.h"

#include <strings.h>

#include "lucid/str.h"
#include "lucid/text.h"

#define TEXT_MAX 1024

static const struct {
	const char *name;
	unsigned bit;
} roles[] = { { "admin", CALLER_ADMIN }, { "service", CALLER_SERVICE }, { "user", CALLER_USER } };

char *acting_text(const struct caller *c)
{
	struct strbuf b = { 0 };
	const char *sep = "";
	if (!c->sub[0] && c->roles == CALLER_SERVICE && !c->address[0])
		return NULL;
	strbuf_puts(&b, "sub=");
	strbuf_percent(&b, c->sub);
	strbuf_puts(&b, ";roles=");
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (c->roles & roles[i].bit) {
			strbuf_printf(&b, "%s%s", sep, roles[i].name);
			sep = ",";
		}
	strbuf_printf(&b, ";sessions=%s;from=", c->can_create_sessions ? "yes" : "no");
	strbuf_percent(&b, c->address);
	return strbuf_take(&b);
}

static bool percent_decode(char *s)
{
	char *to = s;
	for (; *s; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		int c = str_percent(s);
		if (c <= 0)
			return false;
		*to++ = (char)c;
		s += 2;
	}
	*to = 0;
	return true;
}

static bool read_roles(char *list, unsigned *ret)
{
	char *save = NULL;
	*ret = 0;
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		size_t i = 0;
		while (i < ARRAY_LEN(roles) && !str_eq(roles[i].name, name))
			i++;
		if (i == ARRAY_LEN(roles))
			return false;
		*ret |= roles[i].bit;
	}
	return true;
}

/* A valid subject of a token, or "". */
static bool is_subject(const char *s)
{
	return !*s || text_is_subject(s);
}

static bool is_address(const char *s)
{
	while (*s > 0x20 && *s < 0x7f)
		s++;
	return !*s;
}

bool acting_read(const char *text, struct caller *ret)
{
	static const char *const names[] = { "sub=", "roles=", "sessions=", "from=" };
	char room[TEXT_MAX], *values[ARRAY_LEN(names)], *save = NULL, *part;
	struct caller c = *ret;
	if (!str_copy(room, sizeof room, text))
		return false;
	part = strtok_r(room, ";", &save);
	for (size_t i = 0; i < ARRAY_LEN(names); i++, part = strtok_r(NULL, ";", &save)) {
		if (!part || !str_starts(part, names[i]))
			return false;
		values[i] = part + strlen(names[i]);
		if (!percent_decode(values[i]))
			return false;
	}
	if (part || !is_subject(values[0]) || !str_copy(c.sub, sizeof c.sub, values[0]) || !read_roles(values[1], &c.roles) ||
	    !is_address(values[3]))
		return false;
	c.can_create_sessions = str_eq(values[2], "yes");
	if (values[3][0] && !str_copy(c.address, sizeof c.address, values[3]))
		return false;
	*ret = c;
	return true;
}
