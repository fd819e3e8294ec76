#include "lucid/shape.h"

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool spans(const char *s, const char *first, const char *rest, size_t max)
{
	return *s && strchr(first, *s) && strspn(s, rest) == strlen(s) && strlen(s) <= max;
}

static bool printable(const char *s)
{
	size_t n = strlen(s);
	return n && !str_has_control(s, false) && s[0] != ' ' && s[n - 1] != ' ';
}

static bool is_account(const char *s)
{
	return spans(s, LOWER "_", LOWER DIGITS "_-", 32);
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
	{ "uuid", id_is_uuid, "must be a UUID in lower case, like 123e4567-e89b-42d3-a456-426614174000" },
	{ "name", printable, "must be printable and neither begin nor end with a blank" },
	{ "user", printable, "must be printable and neither begin nor end with a blank" },
	{ "account", is_account, "must be an account name: a-z, 0-9, _ and -, at most 32, beginning with a letter or _" },
	{ "group", is_account, "must be a group name: a-z, 0-9, _ and -, at most 32, beginning with a letter or _" },
	{ "tag", is_tag, "must be 1 to 64 of A-Z a-z 0-9 . _ : / - and begin with a letter or digit" },
	{ "label", is_label, "must be name=value or a word, 1 to 64 of A-Z a-z 0-9 . _ : / - = beginning with a letter or digit" },
	{ "labels", is_labels, "must be labels of nodes parted by commas, like gpu=yes,room=b12" },
	{ "node", is_node, "must be a host's name: letters, digits, '.', '_' and '-'" },
	{ "id", is_id, "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit" },
	{ "digits", is_digits, "must be a number of at most 9 digits" },
	{ "time", is_time, "must be a time like 2026-01-31T10:00:00Z" },
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
