#include "sys/config/file.h"

#include <errno.h>
#include <stdio.h>

#include "sys/config/expand.h"
#include "sys/files.h"

char *config_read(const char *path, size_t max, char *why, size_t size)
{
	size_t len = 0;
	char *text = file_read(path, max, &len);
	if (!text && errno == EFBIG)
		snprintf(why, size, "longer than %zu bytes", max);
	else if (!text)
		snprintf(why, size, "%s", errno == EINVAL || errno == EISDIR ? "not a regular file" : strerror(errno));
	if (!text || !memchr(text, 0, len))
		return text;
	snprintf(why, size, "the file contains a NUL byte");
	mem_wipe(text, len);
	free(text);
	return NULL;
}

struct parser {
	struct config_layers *all;
	struct config_layer *layer;
	unsigned line;
};

static void line_fault(struct parser *p, const char *name, const char *why)
{
	if (name)
		strbuf_printf(p->all->faults, "%s: from %s line %u: %s\n", name, p->layer->source, p->line, why);
	else
		strbuf_printf(p->all->faults, "%s line %u: %s\n", p->layer->source, p->line, why);
}

/* Finds the end of the value at s. *ret_s and *ret_len are the value without quotes. NULL, or why it is invalid. */
static const char *cut_value(const char *s, const char **ret_s, size_t *ret_len, bool *ret_literal)
{
	char quote = *s == '"' || *s == '\'' ? *s : 0;
	const char *end;
	*ret_literal = quote == '\'';
	if (quote) {
		for (end = s + 1; *end && *end != quote; end++)
			if (quote == '"' && *end == '\\' && end[1])
				end++;
		if (!*end)
			return "the quote is not closed (a value must be on one line)";
		const char *rest = end + 1 + strspn(end + 1, " \t");
		if (*rest && *rest != '#')
			return "text follows the closing quote";
		*ret_s = s + 1;
		*ret_len = (size_t)(end - s - 1);
		return NULL;
	}
	for (end = s; *end; end++)
		if (*end == '#' && (end == s || end[-1] == ' ' || end[-1] == '\t'))
			break;
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*ret_s = s;
	*ret_len = (size_t)(end - s);
	return NULL;
}

static void layer_put(struct parser *p, const char *name, const char *text, bool known)
{
	struct config_pair *old = layer_find(p->layer, name);
	if (!old) {
		if (!layer_add(p->layer, name, strlen(name), text, p->line))
			line_fault(p, NULL, "more than 4096 names in one file");
		return;
	}
	if (known && !str_eq(old->text, text)) {
		if (p->layer->kind == LAYER_CONF)
			strbuf_printf(p->all->faults, "%s: from %s: lines %u and %u set different values; keep one\n", name,
				      p->layer->source, old->line, p->line);
		else
			strbuf_printf(p->all->warnings, "%s: from %s: line %u overrides line %u\n", name,
				      p->layer->source, p->line, old->line);
	} else if (known) {
		strbuf_printf(p->all->warnings, "%s: from %s: line %u repeats line %u\n", name, p->layer->source,
			      p->line, old->line);
	}
	mem_wipe(old->text, strlen(old->text));
	free(old->text);
	old->text = xstrdup(text);
	old->line = p->line;
}

static void assign(struct parser *p, const char *name, const char *s)
{
	bool known = map_get(p->all->known, name) != NULL, literal = false;
	bool strict = known || p->layer->kind == LAYER_CONF;
	const char *raw = "";
	size_t len = 0;
	struct strbuf out = { .secret = true }, unknown = { 0 };
	const char *why = cut_value(s, &raw, &len, &literal);
	if (!why && len > CONFIG_VALUE_MAX)
		why = "the value is longer than 64 KiB";
	if (!why && literal)
		strbuf_add(&out, raw, len);
	else if (!why)
		why = config_expand(p->all, p->layer, raw, len, &out, &unknown);
	if (why && strict)
		line_fault(p, name, why);
	/* an env file may have lines for other programs: faults in them are ignored, but other values may refer to them */
	if (!why || !strict)
		layer_put(p, name, why ? s : out.s ? out.s : "", known);
	if (!why && known && unknown.len)
		strbuf_printf(p->all->warnings, "%s: from %s line %u: %s is not set; an empty value is used\n", name,
			      p->layer->source, p->line, unknown.s);
	strbuf_done(&out);
	strbuf_done(&unknown);
}

/* A line of an env file without a usable name and '='. Its first word may be a secret without its name, so a message quotes it only if it
 * is a setting; as a name, it gives the warning of config.c if it is similar to one. */
static void other_line(struct parser *p, const char *s)
{
	size_t n = strcspn(s, "=: \t");
	_cleanup_(xfreep) char *word = xstrndup(s, n);
	if (map_get(p->all->known, word))
		strbuf_printf(p->all->warnings, "%s: from %s line %u: the name is not followed by '='; the line is ignored\n", word,
			      p->layer->source, p->line);
	else if (n && !layer_find(p->layer, word) && !layer_add(p->layer, word, n, "", p->line))
		line_fault(p, NULL, "more than 4096 names in one file");
	mem_wipe(word, n);
}

static void parse_line(struct parser *p, char *s)
{
	s += strspn(s, " \t");
	if (!*s || *s == '#')
		return;
	if (str_starts(s, "export ") || str_starts(s, "export\t"))
		s += 7 + strspn(s + 7, " \t");
	size_t n = strcspn(s, "= \t");
	char *eq = s + n + strspn(s + n, " \t");
	if (*eq != '=' || !config_name_ok(s, n)) {
		/* the message must not quote the line, which may be a secret without its name */
		if (p->layer->kind == LAYER_CONF || (*eq != '=' && *eq))
			line_fault(p, NULL, "not a line of the form NAME=value");
		else
			other_line(p, s);
		return;
	}
	_cleanup_(xfreep) char *name = xstrndup(s, n);
	assign(p, name, eq + 1 + strspn(eq + 1, " \t"));
}

void config_parse_file(struct config_layers *all, struct config_layer *l, const char *text)
{
	struct parser p = { .all = all, .layer = l };
	if (str_starts(text, "\xef\xbb\xbf"))
		text += 3;
	while (*text) {
		size_t n = strcspn(text, "\n");
		_cleanup_(xfreep) char *line = xstrndup(text, n);
		p.line++;
		if (n && line[n - 1] == '\r')
			line[n - 1] = 0;
		parse_line(&p, line);
		mem_wipe(line, strlen(line));
		text += n + (text[n] == '\n');
	}
}
