#include "sys/config/snapshot.h"

#include <assert.h>
#include <stdio.h>

void snapshot_fault(const struct config *c, size_t row, const char *text, const char *source, struct strbuf *faults, const char *what)
{
	if ((c->rows[row].flags & OPT_SECRET) && *text)
		text = "********";
	_cleanup_(xfreep) char *start = xstrndup(text, 200);
	strbuf_printf(faults, "%s: ", c->rows[row].name);
	strbuf_json(faults, start); /* one line, whatever the value contains */
	strbuf_printf(faults, "%s from %s: %s\n", strlen(text) > 200 ? "…" : "", source, what);
}

/* A value equal to the default is accepted even if the feature is not built. */
static bool same_as_default(const struct option *o, const struct config_value *v)
{
	struct config_value d = { 0 };
	struct strbuf detail = { 0 };
	bool same = config_value_parse(o, o->otherwise, &d, &detail) && str_eq(d.text, v->text);
	config_value_done(&d);
	strbuf_done(&detail);
	return same;
}

bool snapshot_set(struct config *c, size_t row, const char *text, const char *source, bool given, struct strbuf *faults)
{
	const struct option *o = &c->rows[row];
	struct config_value v = { 0 };
	struct strbuf detail = { 0 };
	bool ok = config_value_parse(o, text, &v, &detail);
	if (!ok) {
		if (detail.len)
			strbuf_puts(&detail, "; allowed: ");
		config_allowed(o, &detail);
		snapshot_fault(c, row, text, source, faults, detail.s);
	} else if (given && (o->flags & OPT_NOT_BUILT) && !same_as_default(o, &v)) {
		strbuf_printf(&detail, "this program does not support %s yet; omit %s", o->part, o->name);
		snapshot_fault(c, row, text, source, faults, detail.s);
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

struct config *snapshot_new(const struct option *rows, size_t n, struct strbuf *faults)
{
	struct config *c = XNEW(struct config);
	c->rows = rows;
	c->n = n;
	c->values = xcalloc(n, sizeof *c->values);
	c->index = map_new(n);
	for (size_t i = 0; i < n; i++) {
		map_put(c->index, rows[i].name, (void *)(uintptr_t)(i + 1), NULL);
		snapshot_set(c, i, rows[i].otherwise, "default", false, faults);
	}
	return c;
}

void snapshot_free(struct config *c)
{
	for (size_t i = 0; i < c->n; i++)
		config_value_done(&c->values[i]);
	free(c->values);
	for (size_t i = 0; i < c->nparked; i++)
		config_value_done(&c->parked[i]);
	free(c->parked);
	map_free(c->index, NULL);
	free(c);
}

size_t snapshot_row(const struct config *c, const char *name)
{
	uintptr_t row = (uintptr_t)map_get(c->index, name);
	if (!row)
		fprintf(stderr, "lucid-rdp: no setting has the name %s\n", name);
	assert(row);
	return row - 1;
}

/* --- lucid/config.h */

const char *config_str(const struct config *c, const char *name)
{
	return c->values[snapshot_row(c, name)].text;
}

int64_t config_int(const struct config *c, const char *name)
{
	size_t row = snapshot_row(c, name);
	assert(c->rows[row].type == OPT_INT);
	return c->values[row].num;
}

int *config_listen_ports(const struct config *c)
{
	int *ports = xcalloc(c->n + 1, sizeof *ports);
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].flags & OPT_LISTENS)
			ports[n++] = (int)c->values[i].num;
	return ports;
}

bool config_bool(const struct config *c, const char *name)
{
	size_t row = snapshot_row(c, name);
	assert(c->rows[row].type == OPT_BOOL);
	return c->values[row].num;
}

const char *const *config_list(const struct config *c, const char *name)
{
	size_t row = snapshot_row(c, name);
	assert(c->rows[row].type == OPT_LIST);
	return (const char *const *)c->values[row].items;
}

bool config_given(const struct config *c, const char *name)
{
	return c->values[snapshot_row(c, name)].given;
}

const char *config_source(const struct config *c, const char *name)
{
	return c->values[snapshot_row(c, name)].source;
}
