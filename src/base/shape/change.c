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

static json_t *unchanged(const struct shape *s, const json_t *patch, const json_t *stored, bool admin, const char *path, struct faults *f)
{
	json_t *out = json_copy((json_t *)(uintptr_t)patch);
	for (size_t i = 0; i < s->n; i++) {
		const struct shape_field *field = &s->fields[i];
		const json_t *given = json_object_get(patch, field->name), *now = json_object_get(stored, field->name);
		bool read_only = field->flags & SH_READ_ONLY, of_admin = field->flags & SH_ADMIN;
		if (!given)
			continue;
		_cleanup_(xfreep) char *name = xasprintf("%s%s%s", path, *path ? "." : "", field->name);
		if (!read_only && !of_admin && field->type == SH_OBJECT && json_is_object(given))
			json_object_set_new(out, field->name, unchanged(field->sub, given, now, admin, name, f));
		if (!read_only && !of_admin)
			continue;
		if (same(given, now) || field->flags & SH_LIVE)
			json_object_del(out, field->name);
		else if (read_only)
			fault_changed(f, name, now);
		else if (!admin)
			faults_add(f, name, "may be set by an admin only");
	}
	return out ? out : json_object();
}

json_t *shape_unchanged(const struct shape *s, const json_t *patch, const json_t *stored, bool admin, struct faults *f)
{
	return unchanged(s, patch, stored, admin, "", f);
}

json_t *shape_without_secrets(const struct shape *s, const json_t *doc)
{
	json_t *out = json_copy((json_t *)(uintptr_t)doc);
	for (size_t i = 0; s && i < s->n; i++) {
		const struct shape_field *field = &s->fields[i];
		const json_t *v = json_object_get(doc, field->name);
		if (v && field->flags & SH_SECRET)
			json_object_set_new(out, field->name, json_is_null(v) ? json_null() : json_true());
		else if (field->type == SH_OBJECT && json_is_object(v))
			json_object_set_new(out, field->name, shape_without_secrets(field->sub, v));
	}
	return out;
}
