#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/config_parts.h"

bool config_name_ok(const char *s, size_t len)
{
	if (!len || len > 128 || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

char *config_read(const char *path, size_t max, char *why, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why, size, "%s", strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, size, "not a regular file");
		return NULL;
	}
	_cleanup_(xfreep) char *text = xmalloc(max + 2);
	size_t len = 0;
	ssize_t r;
	while (len <= max && (r = read(fd, text + len, max + 1 - len)) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			snprintf(why, size, "%s", strerror(errno));
			return NULL;
		}
		len += (size_t)r;
	}
	text[len] = 0;
	if (len > max)
		snprintf(why, size, "longer than %zu bytes", max);
	else if (memchr(text, 0, len))
		snprintf(why, size, "there is a NUL byte in it");
	else
		return xrealloc(TAKE_PTR(text), len + 1);
	mem_wipe(text, len);
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

/* Where the value that begins at s ends. Quotes are taken off: *ret_s and *ret_len are what is in them. */
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
			return "the quote is never closed (a value stands on one line)";
		const char *rest = end + 1 + strspn(end + 1, " \t");
		if (*rest && *rest != '#')
			return "something stands after the closing quote";
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

static void put(struct parser *p, const char *name, const char *text, bool known)
{
	struct config_pair *old = layer_find(p->layer, name);
	if (!old) {
		if (!layer_add(p->layer, name, strlen(name), text, p->line))
			line_fault(p, NULL, "more than 4096 names in one file");
		return;
	}
	if (known && !str_eq(old->text, text)) {
		if (p->layer->kind == LAYER_CONF)
			strbuf_printf(p->all->faults, "%s: from %s: lines %u and %u give different values; keep one\n", name,
				      p->layer->source, old->line, p->line);
		else
			strbuf_printf(p->all->warnings, "%s: from %s: line %u takes the place of line %u\n", name,
				      p->layer->source, p->line, old->line);
	} else if (known) {
		strbuf_printf(p->all->warnings, "%s: from %s: line %u says again what line %u says\n", name, p->layer->source,
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
	/* a line of an env file that is not for this program is none of our business, but others may refer to it */
	if (!why || !strict)
		put(p, name, why ? s : out.s ? out.s : "", known);
	if (!why && known && unknown.len)
		strbuf_printf(p->all->warnings, "%s: from %s line %u: nothing is known of %s; taken as empty\n", name,
			      p->layer->source, p->line, unknown.s);
	strbuf_done(&out);
	strbuf_done(&unknown);
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
		/* the line is not quoted: it may be a secret that lost its name */
		if (p->layer->kind == LAYER_CONF || (*eq != '=' && *eq))
			line_fault(p, NULL, "not a line of the form NAME=value");
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
