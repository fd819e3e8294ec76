/* change: compares two snapshots, and changes values of a snapshot in place, so that its holders see the new values. Text that was
 * borrowed from an old value stays valid until the snapshot is freed. */
#include "sys/config/config.h"
#include "sys/config/snapshot.h"

#define PARKED_MAX 4096 /* replaced values that are kept; beyond this, changes are refused */

struct config *config_clone(const struct config *c)
{
	struct strbuf ignored = { 0 };
	struct config *to = snapshot_new(c->rows, c->n, &ignored);
	for (size_t i = 0; i < c->n; i++) {
		const struct config_value *v = &c->values[i];
		snapshot_set(to, i, v->text, v->source, v->given, &ignored);
	}
	strbuf_done(&ignored);
	return to;
}

void config_compare(const struct config *old, const struct config *next,
		    void (*fn)(const struct option *row, const char *text, const char *source, bool given, void *arg), void *arg)
{
	for (size_t i = 0; i < old->n; i++) {
		const struct config_value *a = &old->values[i], *b = &next->values[i];
		/* a default may be computed or generated again at each start: it differs although nothing was changed */
		if ((a->given || b->given) && !str_eq(a->text, b->text))
			fn(&old->rows[i], b->text, b->source, b->given, arg);
	}
}

bool config_put(struct config *c, const char *name, const char *text, const char *source, bool given, struct strbuf *faults)
{
	uintptr_t row = (uintptr_t)map_get(c->index, name);
	if (!row || !(c->rows[row - 1].flags & OPT_LIVE) || c->nparked >= PARKED_MAX) {
		strbuf_printf(faults, "%s: cannot be changed without a restart\n", name);
		return false;
	}
	struct config_value *v = &c->values[row - 1], old = *v;
	*v = (struct config_value){ 0 };
	if (!snapshot_set(c, row - 1, text, source, given, faults)) {
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
