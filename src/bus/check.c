#include "bus/call.h"

#include <assert.h>

#include "lucid/str.h"

#ifdef LUCID_TEST
/* Makes local and remote calls behave alike: what JSON cannot represent fails in a local call too. */
json_t *call_through_json(json_t *consume)
{
	if (!consume)
		return NULL;
	_cleanup_(xfreep) char *text = doc_text(consume);
	json_decref(consume);
	json_t *doc = doc_parse(text, strlen(text), NULL, 0);
	assert(doc);
	return doc;
}
#else
json_t *call_through_json(json_t *consume)
{
	return consume;
}
#endif

static bool has_defaults(const struct shape *s)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (s->fields[i].otherwise || (s->fields[i].type == SH_OBJECT && has_defaults(s->fields[i].sub)))
			return true;
	return false;
}

/* The document with the shape's defaults added. The caller's document is not changed. */
static json_t *with_defaults(const struct shape *s, json_t *doc)
{
	if (!has_defaults(s))
		return json_incref(doc);
	json_t *copy = doc ? json_deep_copy(doc) : json_object();
	shape_defaults(s, copy);
	return copy;
}

static int check_params(const struct op *op, const struct call *c, struct faults *f)
{
	char names[OP_MAX_PARAMS][32];
	size_t n = op_param_names(op, names);
	int rc = 0;
	for (size_t i = 0; i < n; i++) {
		const char *why = "is required";
		if (c->params[i] && shape_format(op_param_format(names[i]), c->params[i], &why))
			continue;
		faults_add(f, names[i], "%s", why);
		rc = -ERR_INVALID;
	}
	return rc;
}

int call_check(struct call *c, const struct call_args *a)
{
	const struct op *op = a->op;
	struct faults f = { 0 };
	int rc = op->path && strchr(op->path, '{') ? check_params(op, c, &f) : 0;
	if (op->query || a->query)
		rc = shape_check(op->query, a->query, SHAPE_FULL, &f) ?: rc;
	if (op->in || a->body)
		rc = shape_check(op->in, a->body, op->flags & OP_PATCH_BODY ? SHAPE_PATCH : SHAPE_FULL, &f) ?: rc;
	if (rc) {
		call_fail_details(c, ERR_INVALID, faults_take(&f), NULL);
		return rc;
	}
	if (op->query)
		c->query = call_through_json(with_defaults(op->query, a->query));
	if (op->in)
		c->body = call_through_json(op->flags & OP_PATCH_BODY ? json_incref(a->body) : with_defaults(op->in, a->body));
	return 0;
}
