#include "lucid/shape.h"

#include "lucid/str.h"

/* Compares a patch with the stored document, so that a client may send back a whole document that it read. */

static void fault_changed(struct faults *f, const char *name, const json_t *stored)
{
	bool plain = stored && !json_is_object(stored) && !json_is_array(stored);
	_cleanup_(xfreep) char *now = plain ? doc_text(stored) : NULL;
	if (now && strlen(now) <= 100)
		faults_add(f, name, "is read-only and currently %s; omit it, or send the value from GET", now);
	else
		faults_add(f, name, "is read-only; omit it, or send the value from GET");
}

static bool same(const json_t *given, const json_t *stored)
{
	return json_equal(given, stored) || (json_is_null(given) && !stored);
}

json_t *shape_unchanged(const struct shape *s, const json_t *patch, const json_t *stored, bool admin, struct faults *f)
{
	json_t *out = json_copy((json_t *)patch);
	for (size_t i = 0; i < s->n; i++) {
		const struct shape_field *field = &s->fields[i];
		const json_t *given = json_object_get(patch, field->name), *now = json_object_get(stored, field->name);
		bool read_only = field->flags & SH_READ_ONLY, of_admin = field->flags & SH_ADMIN;
		if (!given || (!read_only && !of_admin))
			continue;
		if (same(given, now) || field->flags & SH_LIVE)
			json_object_del(out, field->name);
		else if (read_only)
			fault_changed(f, field->name, now);
		else if (!admin)
			faults_add(f, field->name, "may be set by an admin only");
	}
	return out ? out : json_object();
}
