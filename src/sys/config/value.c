#include "sys/config/value.h"

#include <strings.h>

#include "lucid/doc.h"

void config_value_done(struct config_value *v)
{
	for (size_t i = 0; v->items && v->items[i]; i++) {
		mem_wipe(v->items[i], strlen(v->items[i]));
		free(v->items[i]);
	}
	free(v->items);
	if (v->text)
		mem_wipe(v->text, strlen(v->text));
	free(v->text);
	free(v->source);
	*v = (struct config_value){ 0 };
}

static bool parse_bool(const char *text, struct config_value *ret)
{
	static const char *const words[] = { "false", "true", "0", "1", "no", "yes", "off", "on" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i]) != 0)
			continue;
		ret->num = i & 1;
		ret->text = xstrdup(words[i & 1]);
		return true;
	}
	return false;
}

static bool parse_enum(const struct option *o, const char *text, struct config_value *ret)
{
	for (size_t i = 0; o->values[i]; i++) {
		if (strcasecmp(text, o->values[i]) != 0)
			continue;
		ret->text = xstrdup(o->values[i]);
		return true;
	}
	return false;
}

static bool add_item(struct config_value *v, size_t *n, const char *s, size_t len, struct strbuf *detail)
{
	if (!len)
		strbuf_puts(detail, "an item is empty");
	else if (*n == CONFIG_ITEMS_MAX)
		strbuf_printf(detail, "more than %d items", CONFIG_ITEMS_MAX);
	else
		v->items[(*n)++] = xstrndup(s, len);
	return !detail->len;
}

static bool json_items(const char *text, struct config_value *v, struct strbuf *detail)
{
	char why[128] = "";
	size_t n = 0, i;
	json_t *item;
	_cleanup_(doc_unref_secretp) json_t *doc = doc_parse_secret(text, strlen(text), why, sizeof why);
	if (!json_is_array(doc)) {
		strbuf_printf(detail, "not a JSON array of strings%s%s", *why ? ": " : "", why);
		return false;
	}
	json_array_foreach(doc, i, item) {
		if (!json_is_string(item)) {
			strbuf_puts(detail, "every item of the JSON array must be a string");
			return false;
		}
		if (!add_item(v, &n, json_string_value(item), json_string_length(item), detail))
			return false;
	}
	return true;
}

static bool parse_list(const char *text, struct config_value *v, struct strbuf *detail)
{
	size_t n = 0;
	v->items = xcalloc(CONFIG_ITEMS_MAX + 1, sizeof *v->items);
	const char *p = text + strspn(text, " ");
	bool ok = true;
	if (*p == '[') {
		ok = json_items(p, v, detail);
	} else if (*p) {
		for (;; p++) {
			size_t len = strcspn(p, ",");
			const char *s = p + strspn(p, " "), *end = p + len;
			while (end > s && end[-1] == ' ')
				end--;
			ok = add_item(v, &n, s, s < end ? (size_t)(end - s) : 0, detail);
			p += len;
			if (!ok || !*p)
				break;
		}
	}
	for (n = 0; v->items[n]; n++)
		;
	v->items = xrealloc(v->items, (n + 1) * sizeof *v->items);
	v->text = xstrdup(text);
	return ok;
}

static bool parse_text(const struct option *o, const char *text, struct config_value *ret, struct strbuf *detail)
{
	size_t chars = 0;
	if (!str_utf8(text, strlen(text), &chars))
		strbuf_puts(detail, "not UTF-8");
	else if (str_has_control(text, false))
		strbuf_puts(detail, "it contains control characters");
	else if (o->max && chars > (size_t)o->max)
		return false;
	else if (o->type == OPT_TEXT && o->min && *text && chars < (size_t)o->min)
		return false;
	return !detail->len;
}

bool config_value_parse(const struct option *o, const char *text, struct config_value *ret, struct strbuf *detail)
{
	struct config_value v = { 0 };
	bool ok = true;
	if (!*text && (!*o->otherwise || (o->flags & OPT_EMPTY_OK))) {
		/* none */
		if (o->type == OPT_LIST)
			v.items = xcalloc(1, sizeof *v.items);
		v.text = xstrdup("");
		*ret = v;
		return true;
	}
	switch (o->type) {
	case OPT_INT:
		ok = str_int(text, o->min, o->max, &v.num);
		break;
	case OPT_BOOL:
		ok = parse_bool(text, &v);
		break;
	case OPT_ENUM:
		ok = parse_enum(o, text, &v);
		break;
	case OPT_TEXT:
		ok = parse_text(o, text, &v, detail);
		if (!*text) {
			strbuf_puts(detail, "it is empty");
			ok = false;
		}
		break;
	case OPT_LIST:
		ok = parse_text(o, text, &v, detail) && parse_list(text, &v, detail);
		break;
	}
	if (!ok) {
		config_value_done(&v);
		return false;
	}
	if (!v.text)
		v.text = xstrdup(text);
	*ret = v;
	return true;
}

void config_allowed(const struct option *o, struct strbuf *out)
{
	switch (o->type) {
	case OPT_INT:
		strbuf_printf(out, "a whole number from %lld to %lld", (long long)o->min, (long long)o->max);
		if (o->unit)
			strbuf_printf(out, " (%s)", o->unit);
		break;
	case OPT_BOOL:
		strbuf_puts(out, "true or false");
		break;
	case OPT_ENUM:
		strbuf_puts(out, "one of ");
		for (size_t i = 0; o->values[i]; i++)
			strbuf_printf(out, "%s%s", i ? ", " : "", o->values[i]);
		break;
	case OPT_TEXT:
		if (o->min && o->max)
			strbuf_printf(out, "text of %lld to %lld characters", (long long)o->min, (long long)o->max);
		else if (o->min)
			strbuf_printf(out, "text of at least %lld characters", (long long)o->min);
		else if (o->max)
			strbuf_printf(out, "text of at most %lld characters", (long long)o->max);
		else
			strbuf_puts(out, "text");
		break;
	case OPT_LIST:
		strbuf_puts(out, "a list, separated by commas or a JSON array of strings");
		break;
	}
}
