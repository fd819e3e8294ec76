/* The tables of the contract are consistent: the properties of a row on which router, REST and OpenAPI rely. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <stdio.h>

#include "lucid/str.h"
#include "roles/contract/contract.h"

static const char *const verbs[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };
static const char *const formats[] = { "uuid", "name", "account", "group", "tag", "label", "labels", "node", "id", "time", "digits", "user", "stored",
					  "domain", "password" };
static const struct {
	const char *role, *base;
} bases[] = {
	{ ROLE_SERVERS, "/api/v1/rdp" },
	{ ROLE_XRDP, "/api/v1/xrdp" },
	{ ROLE_SESSIONS, "/api/v1/sessions" },
	{ ROLE_RESOURCES, "/api/v1/resources" },
};

#define FOREACH_OP(row)                                                                                                \
	for (const struct op_table *const *t_ = op_tables; *t_; t_++)                                                  \
		for (const struct op *row = (*t_)->ops, *end_ = (*t_)->ops + (*t_)->n; row < end_; row++)

static bool one_of(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], s))
			return true;
	return false;
}

static void test_names(void **state)
{
	size_t rows = 0;
	FOREACH_OP(op)
	{
		rows++;
		assert_non_null(op->name);
		assert_non_null(op->role);
		assert_ptr_equal(op_find(op->name), op); /* found by name, so the name is unique */
		for (const char *p = op->name; *p; p++)
			if (!islower(*p) && *p != '.' && *p != '_')
				fail_msg("%s: names are lower-case words and dots", op->name);
	}
	assert_true(rows >= contract_xrdp.n + contract_host.n);
	assert_null(op_find("xrdp.no.such"));
	assert_null(op_find(""));
}

/* Two templates are the same if they differ only in the names of parameters. */
static void flatten(const char *path, char *dst, size_t size)
{
	size_t n = 0;
	for (const char *p = path; *p && n + 1 < size; p++) {
		dst[n++] = *p;
		if (*p == '{')
			p = strchr(p, '}') - 1;
	}
	dst[n] = '\0';
}

static const struct op *find_route(const char *verb, const char *flat)
{
	char path[256];
	FOREACH_OP(op)
	{
		if (!op->verb || !str_eq(op->verb, verb))
			continue;
		flatten(op->path, path, sizeof(path));
		if (str_eq(path, flat))
			return op;
	}
	return NULL;
}

static void test_routes_are_unique(void **state)
{
	char flat[256];
	FOREACH_OP(op)
	{
		if (!op->verb)
			continue;
		flatten(op->path, flat, sizeof(flat));
		const struct op *first = find_route(op->verb, flat);
		if (first != op)
			fail_msg("%s and %s are both %s %s", first->name, op->name, op->verb, op->path);
	}
}

static void check_template(const struct op *op)
{
	char names[OP_MAX_PARAMS][32];
	if (!str_starts(op->path, "/api/v1/") || strstr(op->path, "//") || str_ends(op->path, "/"))
		fail_msg("%s: %s is no template", op->name, op->path);
	for (const char *p = op->path; *p; p++) {
		bool starts = *p == '{', ends = *p == '}';
		if (!islower(*p) && !isdigit(*p) && !strchr("/_-{}", *p))
			fail_msg("%s: '%c' in %s", op->name, *p, op->path);
		if ((starts && p[-1] != '/') || (ends && p[1] && p[1] != '/'))
			fail_msg("%s: a parameter is a whole segment: %s", op->name, op->path);
	}
	size_t n = op_param_names(op, names);
	for (size_t i = 0; i < n; i++) {
		assert_true(one_of(op_param_format(names[i]), formats, ARRAY_LEN(formats)));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
	}
}

static bool below(const char *path, const char *base)
{
	const char *rest = path + strlen(base);
	return str_starts(path, base) && (*rest == '/' || !*rest);
}

static void test_templates(void **state)
{
	FOREACH_OP(op)
	{
		if (!op->verb) {
			assert_null(op->path);
			continue;
		}
		assert_true(one_of(op->verb, verbs, ARRAY_LEN(verbs)));
		check_template(op);
		for (size_t i = 0; i < ARRAY_LEN(bases); i++)
			if (str_eq(bases[i].role, op->role) && !below(op->path, bases[i].base))
				fail_msg("%s: %s is not below %s", op->name, op->path, bases[i].base);
		if (!op->summary || !*op->summary)
			fail_msg("%s: a row on REST has a summary", op->name);
	}
}

static void check_shape(const char *op, const struct shape *s, int depth);

static void check_field(const char *op, const struct shape_field *f, int depth)
{
	if (f->format && !one_of(f->format, formats, ARRAY_LEN(formats)))
		fail_msg("%s: %s has the unknown format %s", op, f->name, f->format);
	if (f->max && f->min > f->max)
		fail_msg("%s: %s: min %lld is over max %lld", op, f->name, (long long)f->min, (long long)f->max);
	if (f->otherwise) {
		json_t *value = doc_parse(f->otherwise, strlen(f->otherwise), NULL, 0);
		if (!value)
			fail_msg("%s: the default of %s is not JSON: %s", op, f->name, f->otherwise);
		json_decref(value);
	}
	if (f->type == SH_ARRAY && !f->item)
		fail_msg("%s: the array %s says nothing of its items", op, f->name);
	if (f->type == SH_ARRAY)
		check_field(op, f->item, depth + 1);
	if (f->type == SH_OBJECT && !f->sub)
		fail_msg("%s: the object %s says nothing of its members", op, f->name);
	if (f->sub)
		check_shape(op, f->sub, depth + 1);
}

static void check_shape(const char *op, const struct shape *s, int depth)
{
	assert_true(depth < 8);
	for (size_t i = 0; i < s->n; i++) {
		if (!s->fields[i].name)
			fail_msg("%s: a member without a name", op);
		for (size_t j = 0; j < i; j++)
			if (str_eq(s->fields[i].name, s->fields[j].name))
				fail_msg("%s: %s twice", op, s->fields[i].name);
		check_field(op, &s->fields[i], depth);
	}
}

static void test_shapes(void **state)
{
	FOREACH_OP(op)
	{
		const struct shape *all[] = { op->query, op->in, op->out };
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			if (all[i])
				check_shape(op->name, all[i], 0);
		if (op->verb && op->in && (str_eq(op->verb, "GET") || str_eq(op->verb, "DELETE")))
			fail_msg("%s: %s takes no body", op->name, op->verb);
		if (op->query && !op->verb)
			fail_msg("%s: a query without REST", op->name);
		if (op->flags & OP_STREAMS && !(op->flags & OP_READ))
			fail_msg("%s: only what is read comes in pieces", op->name);
	}
}

/* The operations that a service token alone may call: product.md, "who calls whom". Each further row is a right for whoever steals such a token. */
static void test_operations_of_service_tokens(UNUSED void **state)
{
	static const char *const rows[] = {
		/* server-manager → agent */
		"xrdp.instances.start", "xrdp.instances.stop", "xrdp.instances.get", "xrdp.instances.list", "xrdp.instances.config",
		"xrdp.instances.logs", "xrdp.instances.log_file", "xrdp.instances.desktops", "xrdp.desktops", "xrdp.ports.check",
		"xrdp.accounts.check", "xrdp.instances.limits",
		/* session-controller → agent, resource-monitor → agent */
		"xrdp.instances.connections", "xrdp.instances.connections.cut", "xrdp.instances.desktops.end", "xrdp.instances.desktops.limits",
		"xrdp.instances.desktops.message", "xrdp.stats", "xrdp.instances.stats", "xrdp.quotas",
		"xrdp.recordings.start", "xrdp.recordings.stop", "xrdp.recordings.pause", "xrdp.recordings.resume", "xrdp.recordings.list",
		"xrdp.recordings.files", "xrdp.recordings.file", "xrdp.recordings.write", "xrdp.recordings.remove",
		/* both → server-manager */
		"rdp.servers.get",
		/* server-manager → resource-monitor: the nodes that are over their thresholds */
		"resources.alerts.list",
		/* session-controller → server-manager, for a user of a session on a server of another owner */
		"rdp.servers.connection", "rdp.servers.rdp_file",
	};
	size_t n = 0;
	FOREACH_OP(op)
	{
		if (op->flags & OP_ROLES && !one_of(op->name, rows, ARRAY_LEN(rows)))
			fail_msg("%s: roles do not call this by themselves", op->name);
		n += op->flags & OP_ROLES ? 1 : 0;
		assert_false(op->scope == OP_ADMIN && op->flags & OP_ROLES);
	}
	assert_int_equal(n, ARRAY_LEN(rows));
}

/* The responses of the agent are described, and none waits without a deadline. */
static void test_agent_rows(void **state)
{
	for (size_t i = 0; i < contract_xrdp.n; i++) {
		const struct op *op = &contract_xrdp.ops[i];
		assert_string_equal(op->role, ROLE_XRDP);
		assert_true(str_starts(op->name, "xrdp."));
		assert_true(op->out || op->flags & OP_STREAMS);
		assert_int_equal(op->scope, op->flags & OP_ROLES ? OP_SERVICE : OP_ADMIN);
	}
	const struct op_table *tables[] = { &contract_xrdp, &contract_host };
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < tables[t]->n; i++) {
			const struct op *op = &tables[t]->ops[i];
			assert_in_range(op->deadline_ms, 1000, 60000);
			/* the second call restores another backup, because it makes one itself, or shows a second window */
			assert_true(op->flags & (OP_IDEMPOTENT | OP_READ) || strstr(op->name, "config.rollback") || str_ends(op->name, ".message"));
		}
}

static void test_success_status(void **state)
{
	FOREACH_OP(op)
	{
		if (op->status && (op->status < 200 || op->status > 299))
			fail_msg("%s: %d is no success", op->name, op->status);
		if ((op->flags & OP_CREATES) && op->status != 201)
			fail_msg("%s: creates, and answers %d", op->name, op->status);
		if ((op->flags & OP_READ) && (op->flags & (OP_CREATES | OP_PATCH_BODY)))
			fail_msg("%s: reads and writes", op->name);
	}
}

static void test_param_names(void **state)
{
	char names[OP_MAX_PARAMS][32];
	assert_int_equal(op_param_names(op_find("xrdp.instances.connections.cut"), names), 2);
	assert_string_equal(names[0], "server_id");
	assert_string_equal(names[1], "id");
	assert_int_equal(op_param_names(op_find("xrdp.stats"), names), 0);
	assert_int_equal(op_param_names(op_find("host.instance.stop"), names), 0);
	assert_string_equal(op_param_format("server_id"), "uuid");
	assert_string_equal(op_param_format("display"), "digits");
}

/* --- names in /openapi.json. Client generators make type names of components, of components with a member name appended, and of operations,
 * without case and without characters that are no letters or digits; two equal type names overwrite each other. */

struct named {
	char key[160], what[160];
	const void *of;
};
static struct named made[4000];
static size_t made_n;

static void claim_type_name(const char *name, const void *of, const char *what)
{
	struct named n = { .of = of };
	size_t len = 0;
	for (const char *p = name; *p && len + 1 < sizeof n.key; p++)
		if (isalnum(*p))
			n.key[len++] = (char)tolower(*p);
	snprintf(n.what, sizeof n.what, "%s", what);
	for (size_t i = 0; i < made_n; i++)
		if (str_eq(made[i].key, n.key) && made[i].of != of)
			fail_msg("client generators mistake %s for %s", what, made[i].what);
	assert_true(made_n < ARRAY_LEN(made));
	made[made_n++] = n;
}

static void claim_shape(const struct shape *s, enum schema_kind kind);

static void claim_field(const char *component, const struct shape_field *f, const char *name, enum schema_kind kind)
{
	char type[160], what[200];
	snprintf(type, sizeof type, "%s.%s", component, name);
	snprintf(what, sizeof what, "the member %s", type);
	if (kind == SCHEMA_PATCH && f->flags & SH_READ_ONLY)
		kind = SCHEMA_ANSWER;
	if (f->type == SH_ARRAY)
		claim_field(component, f->item, name, kind);
	else if (f->type == SH_OBJECT && f->sub->name)
		claim_shape(f->sub, kind);
	else if (f->type == SH_OBJECT)
		fail_msg("%s: an object of no name", what);
	else if (f->type == SH_FREE || f->values)
		claim_type_name(type, f, what);
}

static void claim_shape(const struct shape *s, enum schema_kind kind)
{
	char name[SCHEMA_NAME_MAX], what[SCHEMA_NAME_MAX + 20];
	shape_schema_name(name, s, kind);
	for (const char *p = name; *p; p++)
		if (!isalnum(*p) || !isupper(name[0]))
			fail_msg("%s: components are words in PascalCase", name);
	snprintf(what, sizeof what, "the component %s", name);
	claim_type_name(name, s->fields, what);
	for (size_t i = 0; i < s->n; i++)
		claim_field(name, &s->fields[i], s->fields[i].name, kind);
}

static bool has_read_only(const struct shape *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct shape_field *f = &s->fields[i];
		if (f->flags & SH_READ_ONLY || (f->sub && has_read_only(f->sub)) || (f->item && f->item->sub && has_read_only(f->item->sub)))
			return true;
	}
	return false;
}

static void test_generated_type_names_are_unambiguous(void **state)
{
	static const char *const behind[] = { "", "Data", "Error", "Errors", "Response", "Responses", "Body", "Params", "Request" };
	made_n = 0;
	FOREACH_OP(op)
	{
		if (!op->verb)
			continue;
		if ((op->in && !op->in->name) || (op->out && !op->out->name))
			fail_msg("%s: its body or its answer has no name of a component", op->name);
		if (op->in)
			claim_shape(op->in, op->flags & OP_PATCH_BODY ? SCHEMA_PATCH : SCHEMA_BODY);
		if (op->out)
			claim_shape(op->out, SCHEMA_ANSWER);
		for (size_t i = 0; op->query && i < op->query->n; i++) {
			char type[160];
			snprintf(type, sizeof type, "%s.%s", op->name, op->query->fields[i].name);
			if (op->query->fields[i].values)
				claim_type_name(type, &op->query->fields[i], type);
		}
		for (size_t i = 0; i < ARRAY_LEN(behind); i++) {
			char type[160];
			snprintf(type, sizeof type, "%s.%s", op->name, behind[i]);
			claim_type_name(type, op, op->name);
		}
	}
	claim_type_name("ApiError", made, "the component ApiError");
}

static const struct op *who_answers(const char *component)
{
	FOREACH_OP(op)
		if (op->verb && op->out && str_eq(op->out->name, component))
			return op;
	return NULL;
}

/* A component describes a request or a response: one with read-only members cannot be both. In a patch they may be repeated (shape_unchanged). */
static void test_request_and_answer_components(void **state)
{
	FOREACH_OP(op)
	{
		if (!op->verb || !op->in)
			continue;
		for (size_t i = 0; i < op->in->n; i++)
			if (!(op->flags & OP_PATCH_BODY) && !(op->in->fields[i].flags & SH_READ_ONLY) && op->in->fields[i].sub &&
			    has_read_only(op->in->fields[i].sub))
				fail_msg("%s: read-only members below %s", op->name, op->in->fields[i].name);
		if (!(op->flags & OP_PATCH_BODY) && has_read_only(op->in) && who_answers(op->in->name))
			fail_msg("%s takes what %s answers, without its read-only members", op->name, who_answers(op->in->name)->name);
	}
}

/* A response that is not JSON has a media type, and none is undefined. */
static void test_media_types(void **state)
{
	FOREACH_OP(op)
	{
		if (!op->verb)
			continue;
		if (!op->out && op->status != 204 && (!op->media || strchr(op->media, '*')))
			fail_msg("%s: answers no JSON, and does not say what", op->name);
		if (op->out && (op->media != NULL) != ((op->flags & OP_STREAMS) != 0))
			fail_msg("%s: answers JSON or a stream, and only the stream has a media type", op->name);
		_cleanup_(doc_unrefp) json_t *csv = json_pack("{s:s}", "format", "csv"), *json = json_pack("{s:s}", "format", "json");
		struct faults f = { 0 };
		if (op->out && op->flags & OP_STREAMS) {
			assert_int_equal(shape_check(op->query, csv, SHAPE_FULL, &f), 0);
			assert_true(op_streams(op, csv) && !op_streams(op, json) && !op_streams(op, NULL));
			assert_string_equal(op->media, "text/csv");
		}
		faults_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_routes_are_unique),
		cmocka_unit_test(test_templates),     cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_operations_of_service_tokens), cmocka_unit_test(test_agent_rows),    cmocka_unit_test(test_success_status),
		cmocka_unit_test(test_param_names),   cmocka_unit_test(test_generated_type_names_are_unambiguous),
		cmocka_unit_test(test_request_and_answer_components), cmocka_unit_test(test_media_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
