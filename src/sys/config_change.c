/* config_change: what differs between two snapshots, and taking it up in place: whoever holds the first one sees the new
 * values, and text that was borrowed from it stays until it is freed. */
#include "sys/config_parts.h"

#define PARKED_MAX 4096 /* values; beyond it a reload is refused */

struct config *config_clone(const struct config *c)
{
	struct strbuf unheard = { 0 };
	struct config *to = config_new(c->rows, c->n, &unheard);
	for (size_t i = 0; i < c->n; i++) {
		const struct config_value *v = &c->values[i];
		config_set_value(to, i, v->text, v->source, v->given, &unheard);
	}
	strbuf_done(&unheard);
	return to;
}

void config_compare(const struct config *old, const struct config *next,
		    void (*fn)(const struct option *row, const char *text, const char *source, bool given, void *arg), void *arg)
{
	for (size_t i = 0; i < old->n; i++) {
		const struct config_value *a = &old->values[i], *b = &next->values[i];
		/* what nobody gave is computed or generated anew at each start */
		if ((a->given || b->given) && !str_eq(a->text, b->text))
			fn(&old->rows[i], b->text, b->source, b->given, arg);
	}
}

bool config_put(struct config *c, const char *name, const char *text, const char *source, bool given, struct strbuf *faults)
{
	uintptr_t row = (uintptr_t)map_get(c->index, name);
	if (!row || !(c->rows[row - 1].flags & OPT_LIVE) || c->nparked >= PARKED_MAX) {
		strbuf_printf(faults, "%s: cannot be changed while the program runs\n", name);
		return false;
	}
	struct config_value *v = &c->values[row - 1], old = *v;
	*v = (struct config_value){ 0 };
	if (!config_set_value(c, row - 1, text, source, given, faults)) {
		*v = old;
		return false;
	}
	if (c->rows[row - 1].flags & OPT_SECRET) {
		config_value_done(&old);
		return true;
	}
	c->parked = xrealloc(c->parked, (c->nparked + 1) * sizeof *c->parked);
	c->parked[c->nparked++] = old;
	return true;
}
