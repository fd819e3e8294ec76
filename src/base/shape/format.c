#include "lucid/shape.h"

#include "lucid/account.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"
#include "lucid/text.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool spans(const char *s, const char *first, const char *rest, size_t max)
{
	return *s && strchr(first, *s) && strspn(s, rest) == strlen(s) && strlen(s) <= max;
}

static bool printable(const char *s)
{
	return *s && !str_has_control(s, false) && !text_blank_ends(s);
}

static bool is_stored(const char *s)
{
	return *s && !str_has_control(s, false) && s[0] != ' ' && !str_ends(s, " ");
}

static bool is_tag(const char *s)
{
	return spans(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._:/-", 64);
}

static bool is_label(const char *s)
{
	return spans(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._:/-=", 64);
}

static bool is_labels(const char *s)
{
	return spans(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._:/-=,", 1024) && !strstr(s, ",,") && s[strlen(s) - 1] != ',';
}

static bool is_node(const char *s)
{
	return spans(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._-", 253) && !strstr(s, "..");
}

static bool is_id(const char *s)
{
	return spans(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._-", 64) && !strstr(s, "..");
}

static bool is_password(const char *s)
{
	return *s && strlen(s) <= ACCOUNT_MAX;
}

static bool is_digits(const char *s)
{
	return spans(s, DIGITS, DIGITS, 9);
}

static bool is_time(const char *s)
{
	int64_t ms;
	return clock_from_iso(s, &ms);
}

static const struct {
	const char *name;
	bool (*fits)(const char *s);
	const char *why;
} formats[] = {
	{ "uuid", id_is_uuid, "must be a lower-case UUID, such as 123e4567-e89b-42d3-a456-426614174000" },
	{ "name", printable, "must be printable, without leading or trailing spaces" },
	{ "user", printable, "must be printable, without leading or trailing spaces" },
	{ "stored", is_stored, "must be printable, without leading or trailing spaces" },
	{ "account", account_name_ok, "must be an account name: at most 256 bytes, without control characters and line breaks" },
	{ "group", account_name_ok, "must be a group name: at most 256 bytes, without control characters and line breaks" },
	{ "domain", account_name_ok, "must be the name of a domain: at most 256 bytes, without control characters and line breaks" },
	{ "password", is_password, "must be 1 to 256 bytes" },
	{ "tag", is_tag, "must be 1 to 64 characters of A-Z a-z 0-9 . _ : / - and start with a letter or digit" },
	{ "label", is_label, "must be name=value or a word: 1 to 64 characters of A-Z a-z 0-9 . _ : / - = starting with a letter or digit" },
	{ "labels", is_labels, "must be comma-separated node labels, such as gpu=yes,room=b12" },
	{ "node", is_node, "must be a host name of letters, digits, '.', '_' and '-'" },
	{ "id", is_id, "must be 1 to 64 characters of A-Z a-z 0-9 . _ - and start with a letter or digit" },
	{ "digits", is_digits, "must be a number of at most 9 digits" },
	{ "time", is_time, "must be an RFC 3339 time between 1970 and 9999, such as 2026-01-31T10:00:00Z or 2026-01-31T12:00:00+02:00 (in a query, write + as %2B)" },
};

bool shape_format(const char *format, const char *s, const char **ret_why)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (!str_eq(formats[i].name, format))
			continue;
		if (formats[i].fits(s))
			return true;
		*ret_why = formats[i].why;
		return false;
	}
	abort(); /* a table names a format that does not exist */
}
