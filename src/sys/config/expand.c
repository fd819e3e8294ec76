#include "sys/config/expand.h"

#define DEPTH_MAX 8

struct expansion {
	const struct config_layers *all;
	const struct config_layer *current; /* being parsed, so not in `all` yet */
	struct strbuf *out, *unknown;
};

/* The value of a name at this point, from the sources that were read so far, in order of precedence. */
static const char *look_up(const struct expansion *e, const char *name)
{
	bool before = false;
	for (size_t i = 0; i < e->all->n; i++) {
		const struct config_layer *l = e->all->layer[i];
		if (!before && l->kind >= e->current->kind) {
			/* of two files of the same kind, the later one has precedence, and the current one is the latest */
			before = true;
			const struct config_pair *p = layer_find(e->current, name);
			if (p)
				return p->text;
		}
		const struct config_pair *p = layer_find(l, name);
		if (p)
			return p->text;
	}
	const struct config_pair *p = before ? NULL : layer_find(e->current, name);
	return p ? p->text : NULL;
}

/* The '}' that matches the "${" before p, skipping nested ones; NULL if there is none. */
static const char *closing(const char *p, const char *end)
{
	unsigned depth = 1;
	for (; p < end; p++) {
		if (*p == '\\' && p + 1 < end) {
			p++;
		} else if (*p == '$' && p + 1 < end && p[1] == '{') {
			depth++;
			p++;
		} else if (*p == '}' && --depth == 0) {
			return p;
		}
	}
	return NULL;
}

static const char *expand(struct expansion *e, const char *p, const char *end, unsigned depth);

static const char *reference(struct expansion *e, const char *p, const char *end, unsigned depth)
{
	const char *q = p;
	while (q < end && *q != ':' && *q != '-' && *q != '?' && *q != '+' && *q != '=')
		q++;
	if (!config_name_ok(p, (size_t)(q - p)) || (q < end && (end - q < 2 || q[0] != ':' || q[1] != '-')))
		return "only ${NAME} and ${NAME:-default} are supported; write a literal $ as \\$ or in single quotes";
	_cleanup_(xfreep) char *name = xstrndup(p, (size_t)(q - p));
	const char *text = look_up(e, name);
	if (text && *text)
		strbuf_puts(e->out, text);
	else if (q < end)
		return expand(e, q + 2, end, depth + 1);
	else if (!text)
		strbuf_printf(e->unknown, "%s%s", e->unknown->len ? ", " : "", name);
	return NULL;
}

static const char *expand(struct expansion *e, const char *p, const char *end, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return "${…} is nested too deeply";
	while (p < end) {
		if (*p == '\\' && p + 1 < end && (p[1] == '$' || p[1] == '\\' || p[1] == '"')) {
			strbuf_putc(e->out, p[1]);
			p += 2;
		} else if (*p == '$' && p + 1 < end && p[1] == '{') {
			const char *close = closing(p + 2, end);
			if (!close)
				return "${ is not closed";
			const char *why = reference(e, p + 2, close, depth);
			if (why)
				return why;
			p = close + 1;
		} else {
			strbuf_putc(e->out, *p++);
		}
	}
	return NULL;
}

const char *config_expand(const struct config_layers *all, const struct config_layer *current, const char *text, size_t len,
			  struct strbuf *out, struct strbuf *unknown)
{
	struct expansion e = { .all = all, .current = current, .out = out, .unknown = unknown };
	out->max = CONFIG_VALUE_MAX;
	const char *why = expand(&e, text, text + len, 0);
	if (!why && out->overflow)
		why = "the value is longer than 64 KiB";
	return why;
}
