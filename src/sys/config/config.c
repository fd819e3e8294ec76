#include "sys/config/config.h"

#include <errno.h>
#include <unistd.h>

#include "lucid/near.h"
#include "sys/config/file.h"
#include "sys/config/snapshot.h"

/* The meaning of a name in a source: a row, by its own name or by NAME_FILE. */
struct slot {
	size_t row;
	bool file;
};
/* The pairs of one source for one row. */
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
			/* TLS_CERT_FILE is a row, not the NAME_FILE of a row TLS_CERT */
			if (map_get(m, key))
				continue;
			struct slot *slot = XNEW(struct slot);
			*slot = (struct slot){ i, files };
			map_put(m, key, slot, NULL);
		}
	}
}

/* The setting that a misspelt name is similar to, or its NAME_FILE; NULL: none. The caller frees it. */
static char *near_setting(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (near_alike(name, c->rows[i].name))
			return xstrdup(c->rows[i].name);
	for (size_t i = 0; i < c->n; i++) {
		_cleanup_(xfreep) char *file = xasprintf("%s_FILE", c->rows[i].name);
		if (near_alike(name, file))
			return TAKE_PTR(file);
	}
	return NULL;
}

static void name_source(const struct config_layer *l, const struct config_pair *p, struct strbuf *out)
{
	strbuf_printf(out, "%s: from %s", p->name, l->source);
	if (p->line)
		strbuf_printf(out, " line %u", p->line);
}

/* The environment and env files are shared with other programs: an unknown name is a warning only if it is similar to a setting. */
static void warn_of_near_name(const struct config *c, const struct config_layer *l, const struct config_pair *p,
			      struct strbuf *warnings)
{
	_cleanup_(xfreep) char *near = near_setting(c, p->name);
	if (!near)
		return;
	name_source(l, p, warnings);
	strbuf_printf(warnings, ": unknown setting, ignored; did you mean %s?\n", near);
}

static void unknown_name(const struct config *c, const struct config_layer *l, const struct config_pair *p,
			 struct strbuf *faults)
{
	_cleanup_(xfreep) char *near = near_setting(c, p->name);
	name_source(l, p, faults);
	if (near)
		strbuf_printf(faults, ": unknown setting; did you mean %s?\n", near);
	else
		strbuf_puts(faults, ": unknown setting; see lucid-rdp --help-config\n");
}

/* Groups the pairs of a source by row; contradictions within the source are faults. */
static struct hit *sort_layer(const struct config *c, const struct config_layers *all, const struct config_layer *l)
{
	struct hit *hits = xcalloc(c->n, sizeof *hits);
	for (size_t i = 0; i < l->n; i++) {
		const struct config_pair *p = &l->pairs[i];
		const struct slot *s = map_get(all->known, p->name);
		if (!s && (l->kind == LAYER_SET || l->kind == LAYER_CONF))
			unknown_name(c, l, p, all->faults);
		else if (!s)
			warn_of_near_name(c, l, p, all->warnings);
		if (!s || (c->rows[s->row].flags & OPT_IGNORED))
			continue;
		struct hit *h = &hits[s->row];
		const struct config_pair **mine = s->file ? &h->file : &h->value, *other = s->file ? h->value : h->file;
		if (*mine && str_eq((*mine)->name, p->name))
			continue;
		if (*mine && !str_eq((*mine)->text, p->text))
			strbuf_printf(all->faults, "%s: from %s: %s and %s are the same setting with different values; set only one\n",
				      c->rows[s->row].name, l->source, (*mine)->name, p->name);
		if (other && !*mine)
			strbuf_printf(all->faults, "%s: from %s: set %s or %s, not both\n", c->rows[s->row].name, l->source,
				      other->name, p->name);
		*mine = p;
	}
	return hits;
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
	snapshot_set(c, row, text, p->text, true, faults);
	mem_wipe(text, whole);
	free(text);
}

/* For each row, the first source in order of precedence that names it decides. */
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
			snapshot_set(c, row, h->value->text, all->layer[i]->source, true, all->faults);
		else
			set_from_file(c, row, all->layer[i], h->file, all->faults);
	}
	for (size_t i = 0; i < all->n; i++)
		free(hits[i]);
}

/* Reads a file and adds it, with precedence over older files of its kind and below sources of higher precedence. */
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
		strbuf_printf(all->faults, "%s: cannot be read: %s\n", path, why);
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

struct config *config_load(const struct option *rows, size_t n, const struct config_input *in, struct strbuf *faults,
			   struct strbuf *warnings)
{
	size_t before = faults->len;
	struct config *c = snapshot_new(rows, n, faults);
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
	if (c)
		snapshot_free(c);
}

bool config_default(struct config *c, const char *name, const char *value, struct strbuf *faults)
{
	size_t row = snapshot_row(c, name);
	return c->values[row].given || snapshot_set(c, row, value, "default", false, faults);
}

bool config_copy(struct config *c, const char *to, const char *from, struct strbuf *faults)
{
	const struct config_value *v = &c->values[snapshot_row(c, from)];
	return snapshot_set(c, snapshot_row(c, to), v->text, v->source, v->given, faults);
}

void config_fault(const struct config *c, const char *name, struct strbuf *faults, const char *fmt, ...)
{
	size_t row = snapshot_row(c, name);
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *what = xvasprintf(fmt, ap);
	va_end(ap);
	snapshot_fault(c, row, c->values[row].text, c->values[row].source, faults, what);
}
