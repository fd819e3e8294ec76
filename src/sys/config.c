#include "sys/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "sys/config_parts.h"

/* What a name in a source means: a row, told as itself or as NAME_FILE. */
struct slot {
	size_t row;
	bool file;
};
/* What one source says about one row. */
struct hit {
	const struct config_pair *value, *file;
};

static void index_names(struct map *m, const struct option *rows, size_t n, bool files)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(xfreep) char *names = xasprintf("%s%s%s", rows[i].name, rows[i].aliases ? "," : "",
							  rows[i].aliases ? rows[i].aliases : "");
		char *save = NULL;
		for (char *s = strtok_r(names, ", ", &save); s; s = strtok_r(NULL, ", ", &save)) {
			_cleanup_(xfreep) char *key = xasprintf("%s%s", s, files ? "_FILE" : "");
			/* TLS_CERT_FILE is a row, not the file of a TLS_CERT */
			if (map_get(m, key))
				continue;
			struct slot *slot = XNEW(struct slot);
			*slot = (struct slot){ i, files };
			map_put(m, key, slot, NULL);
		}
	}
}

static void fault_value(const struct config *c, size_t row, const char *text, const char *source, struct strbuf *faults,
			const char *what)
{
	if ((c->rows[row].flags & OPT_SECRET) && *text)
		text = "********";
	_cleanup_(xfreep) char *start = xstrndup(text, 200);
	strbuf_printf(faults, "%s: ", c->rows[row].name);
	strbuf_json(faults, start); /* one line, whatever is in it */
	strbuf_printf(faults, "%s from %s: %s\n", strlen(text) > 200 ? "…" : "", source, what);
}

static void unknown_name(const struct config *c, const struct config_layer *l, const struct config_pair *p,
			 struct strbuf *faults)
{
	const char *near = NULL;
	for (size_t i = 0; i < c->n && !near; i++)
		if (strcasecmp(c->rows[i].name, p->name) == 0)
			near = c->rows[i].name;
	strbuf_printf(faults, "%s: from %s", p->name, l->source);
	if (p->line)
		strbuf_printf(faults, " line %u", p->line);
	if (near)
		strbuf_printf(faults, ": there is no such setting; names are case-sensitive: %s\n", near);
	else
		strbuf_puts(faults, ": there is no such setting; --help-config lists them\n");
}

/* Sort what one source says by row; contradictions within it are faults. */
static struct hit *sort_layer(const struct config *c, const struct config_layers *all, const struct config_layer *l)
{
	struct hit *hits = xcalloc(c->n, sizeof *hits);
	for (size_t i = 0; i < l->n; i++) {
		const struct config_pair *p = &l->pairs[i];
		const struct slot *s = map_get(all->known, p->name);
		if (!s && (l->kind == LAYER_SET || l->kind == LAYER_CONF))
			unknown_name(c, l, p, all->faults);
		if (!s || (c->rows[s->row].flags & OPT_IGNORED))
			continue;
		struct hit *h = &hits[s->row];
		const struct config_pair **mine = s->file ? &h->file : &h->value, *other = s->file ? h->value : h->file;
		if (*mine && str_eq((*mine)->name, p->name))
			continue;
		if (*mine && !str_eq((*mine)->text, p->text))
			strbuf_printf(all->faults, "%s: from %s: %s and %s are the same setting and differ; give one\n",
				      c->rows[s->row].name, l->source, (*mine)->name, p->name);
		if (other && !*mine)
			strbuf_printf(all->faults, "%s: from %s: give %s or %s, not both\n", c->rows[s->row].name, l->source,
				      other->name, p->name);
		*mine = p;
	}
	return hits;
}

/* A value that does not differ from the default is fine even where its part is not in this program. */
static bool same_as_default(const struct option *o, const struct config_value *v)
{
	struct config_value d = { 0 };
	struct strbuf detail = { 0 };
	bool same = config_value_parse(o, o->otherwise, &d, &detail) && str_eq(d.text, v->text);
	config_value_done(&d);
	strbuf_done(&detail);
	return same;
}

bool config_set_value(struct config *c, size_t row, const char *text, const char *source, bool given, struct strbuf *faults)
{
	const struct option *o = &c->rows[row];
	struct config_value v = { 0 };
	struct strbuf detail = { 0 };
	bool ok = config_value_parse(o, text, &v, &detail);
	if (!ok) {
		if (detail.len)
			strbuf_puts(&detail, "; allowed is ");
		config_allowed(o, &detail);
		fault_value(c, row, text, source, faults, detail.s);
	} else if (given && (o->flags & OPT_NOT_BUILT) && !same_as_default(o, &v)) {
		strbuf_printf(&detail, "this program does not have %s yet; leave %s out", o->part, o->name);
		fault_value(c, row, text, source, faults, detail.s);
		ok = false;
	}
	strbuf_done(&detail);
	if (!ok) {
		config_value_done(&v);
		return false;
	}
	v.given = given && (*text || (o->flags & OPT_EMPTY_OK));
	v.source = xstrdup(source);
	config_value_done(&c->values[row]);
	c->values[row] = v;
	return true;
}

static void set_from_file(struct config *c, size_t row, const struct config_layer *l, const struct config_pair *p,
			  struct strbuf *faults)
{
	char why[160];
	char *text = *p->text ? config_read(p->text, CONFIG_VALUE_MAX, why, sizeof why) : NULL;
	if (!text) {
		strbuf_printf(faults, "%s: %s=\"%.200s\" from %s: cannot read the file: %s\n", c->rows[row].name, p->name,
			      p->text, l->source, *p->text ? why : "its name is empty");
		return;
	}
	size_t n = strlen(text), whole = n;
	if (n && text[n - 1] == '\n')
		text[--n] = 0;
	if (n && text[n - 1] == '\r')
		text[--n] = 0;
	config_set_value(c, row, text, p->text, true, faults);
	mem_wipe(text, whole);
	free(text);
}

/* The first source in order of precedence that names the row decides. */
static void decide(struct config *c, const struct config_layers *all)
{
	struct hit *hits[CONFIG_LAYERS_MAX];
	for (size_t i = 0; i < all->n; i++)
		hits[i] = sort_layer(c, all, all->layer[i]);
	for (size_t row = 0; row < c->n; row++) {
		const struct hit *h = NULL;
		size_t i;
		for (i = 0; i < all->n; i++) {
			h = &hits[i][row];
			if (h->value || h->file)
				break;
		}
		if (i == all->n)
			continue;
		if (h->value)
			config_set_value(c, row, h->value->text, all->layer[i]->source, true, all->faults);
		else
			set_from_file(c, row, all->layer[i], h->file, all->faults);
	}
	for (size_t i = 0; i < all->n; i++)
		free(hits[i]);
}

/* Read a file as the newest of its kind: before the older ones of that kind, after every other. */
static void add_file(struct config_layers *all, enum layer_kind kind, const char *path, bool must)
{
	char why[160];
	if (all->n == CONFIG_LAYERS_MAX) {
		strbuf_printf(all->faults, "%s: more than %d files\n", path, CONFIG_LAYERS_MAX - 3);
		return;
	}
	if (!must && access(path, F_OK) < 0 && errno == ENOENT)
		return;
	char *text = config_read(path, CONFIG_FILE_MAX, why, sizeof why);
	if (!text) {
		strbuf_printf(all->faults, "%s: cannot read it: %s\n", path, why);
		return;
	}
	struct config_layer *l = layer_new(kind, path);
	config_parse_file(all, l, text);
	mem_wipe(text, strlen(text));
	free(text);
	size_t at = 0;
	while (at < all->n && all->layer[at]->kind < kind)
		at++;
	memmove(&all->layer[at + 1], &all->layer[at], (all->n - at) * sizeof *all->layer);
	all->layer[at] = l;
	all->n++;
}

static void read_sources(struct config_layers *all, const struct config_input *in)
{
	all->layer[all->n++] = layer_from_set(in->set, all->faults);
	all->layer[all->n++] = layer_from_env(in->env);
	if (in->env_files && in->env_files[0])
		for (size_t i = 0; in->env_files[i]; i++)
			add_file(all, LAYER_ENV_FILE, in->env_files[i], true);
	else if (!in->no_dotenv)
		add_file(all, LAYER_ENV_FILE, ".env", false);
	if (in->config_file)
		add_file(all, LAYER_CONF, in->config_file, true);
}

struct config *config_new(const struct option *rows, size_t n, struct strbuf *faults)
{
	struct config *c = XNEW(struct config);
	c->rows = rows;
	c->n = n;
	c->values = xcalloc(n, sizeof *c->values);
	c->index = map_new(n);
	for (size_t i = 0; i < n; i++) {
		map_put(c->index, rows[i].name, (void *)(uintptr_t)(i + 1), NULL);
		config_set_value(c, i, rows[i].otherwise, "default", false, faults);
	}
	return c;
}

struct config *config_load(const struct option *rows, size_t n, const struct config_input *in, struct strbuf *faults,
			   struct strbuf *warnings)
{
	size_t before = faults->len;
	struct config *c = config_new(rows, n, faults);
	struct config_layers all = { .known = map_new(n * 16), .faults = faults, .warnings = warnings };
	index_names(all.known, rows, n, false);
	index_names(all.known, rows, n, true);
	read_sources(&all, in);
	decide(c, &all);
	for (size_t i = 0; i < all.n; i++)
		layer_free(all.layer[i]);
	map_free(all.known, free);
	if (faults->len == before)
		return c;
	config_free(c);
	return NULL;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		config_value_done(&c->values[i]);
	free(c->values);
	for (size_t i = 0; i < c->nparked; i++)
		config_value_done(&c->parked[i]);
	free(c->parked);
	map_free(c->index, NULL);
	free(c);
}

static size_t row_of(const struct config *c, const char *name)
{
	uintptr_t row = (uintptr_t)map_get(c->index, name);
	if (!row)
		fprintf(stderr, "lucid-rdp: no setting has the name %s\n", name);
	assert(row);
	return row - 1;
}

bool config_default(struct config *c, const char *name, const char *value, struct strbuf *faults)
{
	size_t row = row_of(c, name);
	return c->values[row].given || config_set_value(c, row, value, "default", false, faults);
}

bool config_copy(struct config *c, const char *to, const char *from, struct strbuf *faults)
{
	const struct config_value *v = &c->values[row_of(c, from)];
	return config_set_value(c, row_of(c, to), v->text, v->source, v->given, faults);
}

void config_fault(const struct config *c, const char *name, struct strbuf *faults, const char *fmt, ...)
{
	size_t row = row_of(c, name);
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *what = xvasprintf(fmt, ap);
	va_end(ap);
	fault_value(c, row, c->values[row].text, c->values[row].source, faults, what);
}

const char *config_str(const struct config *c, const char *name)
{
	return c->values[row_of(c, name)].text;
}

int64_t config_int(const struct config *c, const char *name)
{
	size_t row = row_of(c, name);
	assert(c->rows[row].type == OPT_INT);
	return c->values[row].num;
}

bool config_bool(const struct config *c, const char *name)
{
	size_t row = row_of(c, name);
	assert(c->rows[row].type == OPT_BOOL);
	return c->values[row].num;
}

const char *const *config_list(const struct config *c, const char *name)
{
	size_t row = row_of(c, name);
	assert(c->rows[row].type == OPT_LIST);
	return (const char *const *)c->values[row].items;
}

bool config_given(const struct config *c, const char *name)
{
	return c->values[row_of(c, name)].given;
}

const char *config_source(const struct config *c, const char *name)
{
	return c->values[row_of(c, name)].source;
}
