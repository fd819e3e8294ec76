#include <stdio.h>

#include "app/commands/commands.h"
#include "app/commands/reference_split.h"
#include "app/settings/defaults.h"
#include "app/settings/options.h"
#include "app/roles.h"
#include "app/server.h"
#include "lucid/errs.h"
#include "lucid/metrics.h"
#include "lucid/op.h"
#include "store/indexes.h"
#include "sys/log.h"

/* Prints the pages of docs/reference and deploy/mongo-init.js from the tables that the program itself uses, so that they cannot
 * disagree with it. `make docs` writes the files; `make lint` compares them. */

static const char help[] = "Usage: lucid-rdp reference api|config|errors|metrics|mongo|roles|split|ROLE\n\nPrints a reference page as Markdown (mongo: deploy/mongo-init.js; roles: JSON; split: conf/split/shared.env; ROLE: conf/split/ROLE.env), generated from the program's own tables.\n";

/* Prints one table cell. A '|' or a line break in it would end the cell, so both are replaced. */
static void cell(const char *text)
{
	for (; *text; text++)
		if (*text == '|')
			fputs("\\|", stdout);
		else
			putchar(*text == '\n' ? ' ' : *text);
}

static void config_range(const struct option *o)
{
	if (o->type == OPT_INT)
		printf("%lld–%lld%s%s", (long long)o->min, (long long)o->max, o->unit ? " " : "", o->unit ? o->unit : "");
	else if (o->type == OPT_BOOL)
		printf("true, false");
	else if (o->type == OPT_LIST)
		printf("list");
	else if (o->type == OPT_ENUM)
		for (const char *const *v = o->values; *v; v++)
			printf("%s%s", v == o->values ? "" : ", ", *v);
	else
		printf("text");
}

static void page_config(void)
{
	printf("# Settings\n\nA value comes from the first of these that has one: `--set NAME=value`, the environment, `--env-file`, the configuration file, the default. "
	       "`NAME_FILE` names a file that holds the value.\nSIGHUP applies changes of settings marked *live*; settings marked *not yet* are refused, because the feature they belong to is not built.\n\n"
	       "| name | allowed values | default | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < options_n(); i++) {
		const struct option *o = &options()[i];
		printf("| `%s`", o->name);
		if (o->aliases)
			printf(" (`%s`)", o->aliases);
		printf(" | ");
		config_range(o);
		printf(" | ");
		if (*o->otherwise)
			printf("`%s`", o->otherwise);
		printf(" | ");
		cell(o->help);
		printf("%s%s%s |\n", o->flags & OPT_LIVE ? " *live*" : "", o->flags & OPT_SECRET ? " *secret*" : "",
		       o->flags & OPT_NOT_BUILT ? " *not yet*" : "");
	}
}

static void page_errors(void)
{
	static const char *seen[ERR_COUNT];
	printf("# Errors\n\nEvery error answer is `{\"error\":{\"code\",\"message\",\"service\",\"version\",\"request_id\",\"timestamp\",\"details\"}}`.\n\n"
	       "| code | HTTP status | retry | default message |\n| --- | --- | --- | --- |\n");
	for (int e = 1; e < ERR_COUNT; e++) {
		int k = 0;
		while (k < e && (!seen[k] || strcmp(seen[k], err_code(e)) != 0))
			k++;
		if (k < e)
			continue; /* clients see it as the row above with the same code */
		seen[e] = err_code(e);
		printf("| %s | %d | %s | ", err_code(e), err_status(e), err_again(e) ? "may succeed later" : "no");
		cell(err_text(e));
		printf(" |\n");
	}
}

/* For programs: what they need to start roles and to find them. */
static void page_roles(void)
{
	json_t *list = json_array();
	for (const struct role *const *r = all_roles; *r; r++)
		json_array_append_new(list, json_pack("{s:s,s:s?,s:s,s:s,s:s,s:s,s:s,s:s}", "name", (*r)->name, "alias", (*r)->alias, "base_path",
						      (*r)->base_path, "port", (*r)->port, "config_file_option", (*r)->option[ROLE_OPT_CONFIG_FILE],
						      "port_option", (*r)->option[ROLE_OPT_PORT], "host_option", (*r)->option[ROLE_OPT_HOST],
						      "url_option", (*r)->option[ROLE_OPT_URL]));
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
}

static const char *scope_name(enum op_scope s)
{
	static const char *const names[] = { [OP_PUBLIC] = "anyone", [OP_USER] = "user", [OP_ADMIN] = "admin", [OP_SERVICE] = "admin, service" };
	return names[s];
}

static void page_api(void)
{
	const char *role = "";
	printf("# Operations\n\n`GET /openapi.json` describes each operation with all its fields. Every port answers every route.\n");
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++) {
			const struct op *op = &(*t)->ops[i];
			if (!op->verb)
				continue;
			if (strcmp(role, op->role) != 0) {
				role = op->role;
				printf("\n## %s\n\n| request | allowed for | HTTP status | summary |\n| --- | --- | --- | --- |\n", role);
			}
			printf("| %s `%s` | %s | %d | ", op->verb, op->path, scope_name(op->scope), op->status ? op->status : 200);
			cell(op->summary ? op->summary : "");
			printf(" |\n");
		}
}

/* --- metrics: each component registers its own when it is created, so all are created once, with placeholder settings */

#define FIGURES_MAX 512
struct figure {
	const char *name, *help;
	enum metric_type type;
	char *labels;
};
struct figures {
	struct figure list[FIGURES_MAX];
	size_t n;
};

static void add_figure(const char *name, enum metric_type type, const char *labels, const char *text, void *arg)
{
	struct figures *f = arg;
	if (f->n < FIGURES_MAX)
		f->list[f->n++] = (struct figure){ name, text, type, xstrdup(labels) };
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct figure *)a)->name, ((const struct figure *)b)->name);
}

/* The directories and the Redis socket do not exist, so nothing is read, written or connected to. */
static bool make_figures(void)
{
	static const char *const set[] = { "ROLE=all", "DATA_DIR=/dev/null/none", "LOG_DIR=/dev/null/none", "RUNTIME_DIR=/dev/null/none",
					   "NODE_NAME=none", "JWT_SECRET=................................",
					   "MASTER_KEY=................................", "REDIS_URL=unix:/dev/null/none", NULL };
	static char *const no_env[] = { NULL };
	static struct tls_files tls;
	static struct server_env env = { .tls = &tls };
	struct strbuf faults = { 0 };
	char why[256];
	log_set_level(LOG_ERROR_);
	env.config = config_load(options(), options_n(), &(struct config_input){ .env = no_env, .set = set, .no_dotenv = true }, &faults, &faults);
	bool ok = env.config && roles_select(config_list(env.config, "ROLE"), env.roles, why, sizeof why) &&
		  defaults_fill(env.config, env.roles, &faults) && server_make_figures(&env);
	if (faults.len)
		fputs(faults.s, stderr);
	strbuf_done(&faults);
	return ok;
}

static void page_metrics(void)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	static struct figures f;
	if (!make_figures())
		exit(1);
	metrics_families(add_figure, &f);
	qsort(f.list, f.n, sizeof f.list[0], by_name);
	printf("# Metrics\n\n`GET /metrics` on every port and on `PROMETHEUS_PORT` answers Prometheus text, or OpenMetrics if the Accept header asks for it. A family "
	       "without a series is omitted. OpenMetrics has units, and as exemplars of `rdp_request_duration_seconds` the ids of the latest requests; the families of Redis exist only with `REDIS_URL`.\n\n| name | type | labels | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < f.n; i++) {
		printf("| `%s` | %s | %s | ", f.list[i].name, types[f.list[i].type], f.list[i].labels);
		cell(f.list[i].help);
		printf(" |\n");
		free(f.list[i].labels);
	}
}

/* --- deploy/mongo-init.js */

static void mongo_fields(enum store_collection col)
{
	static const char *const types[] = { [STORE_TEXT] = "{ bsonType: \"string\" }", [STORE_INTEGER] = "{ bsonType: [\"long\", \"int\"] }",
					     [STORE_TEXT_LIST] = "{ bsonType: \"array\", items: { bsonType: \"string\" } }" };
	const struct store_collection_def *def = &store_collections[col];
	char name[STORE_FIELD_NAME];
	for (size_t i = 0; i < def->n; i++) {
		store_field_name(name, def->fields[i].path);
		printf("      %s: %s,\n", name, types[def->fields[i].type]);
	}
	if (store_expiry_name(col))
		printf("      %s: { bsonType: \"date\" },\n", store_expiry_name(col));
}

static void mongo_indexes(enum store_collection col)
{
	struct store_index x;
	for (size_t i = 0; store_index_at(col, i, &x); i++) {
		printf("      { name: \"%s\", key: {", x.name);
		for (const char *p = x.keys; *p; p += strcspn(p, ","), p += *p == ',') {
			bool down = *p == '-';
			p += down;
			printf("%s %.*s: %s1", p - down == x.keys ? "" : ",", (int)strcspn(p, ","), p, down ? "-" : "");
		}
		printf(" }%s },\n", x.expires ? ", expireAfterSeconds: 0" : "");
	}
}

static void page_mongo(void)
{
	printf("// Collections, validators and indexes of lucid-rdp, generated from its own tables (make docs; make lint compares). The program creates the\n"
	       "// indexes itself when it first opens a database. To prepare a database beforehand: mongosh mongodb://HOST/lucid_rdp mongo-init.js, or mount\n"
	       "// this file in /docker-entrypoint-initdb.d. Running it again is harmless. The field json holds the document; the other fields serve filters and sorts.\n\n"
	       "const target = db.getSiblingDB(process.env.MONGO_INITDB_DATABASE || (db.getName() === \"test\" ? \"lucid_rdp\" : db.getName()));\n\n"
	       "const collections = {\n");
	for (int col = 0; col < COL_COUNT; col++) {
		printf("  %s: {\n    fields: {\n", store_collections[col].name);
		mongo_fields(col);
		printf("    },\n    indexes: [\n");
		mongo_indexes(col);
		printf("    ],\n  },\n");
	}
	printf("};\n\n"
	       "const present = target.getCollectionNames();\n"
	       "for (const [name, c] of Object.entries(collections)) {\n"
	       "  const validator = {\n"
	       "    $jsonSchema: {\n"
	       "      bsonType: \"object\",\n"
	       "      required: [\"_id\", \"version\", \"json\"],\n"
	       "      properties: {\n"
	       "        _id: { bsonType: \"string\", minLength: 1, maxLength: %d },\n"
	       "        version: { bsonType: [\"long\", \"int\"], minimum: 1 },\n"
	       "        json: { bsonType: \"string\" },\n"
	       "        ...c.fields,\n"
	       "      },\n"
	       "    },\n"
	       "  };\n"
	       "  if (present.includes(name)) {\n"
	       "    target.runCommand({ collMod: name, validator });\n"
	       "  } else {\n"
	       "    target.createCollection(name, { validator });\n"
	       "  }\n"
	       "  if (c.indexes.length > 0) {\n"
	       "    target.runCommand({ createIndexes: name, indexes: c.indexes });\n"
	       "  }\n"
	       "}\n", STORE_ID_MAX);
}

struct reference_words {
	void (*print)(void);
	const struct role *role; /* instead of print: print the file of this role */
};

static int reference_option(UNUSED struct cli *c, UNUSED int argc, char **argv, int *i, void *arg)
{
	struct reference_words *words = arg;
	static const struct {
		const char *name;
		void (*print)(void);
	} pages[] = { { "api", page_api }, { "config", page_config }, { "errors", page_errors }, { "metrics", page_metrics }, { "mongo", page_mongo }, { "roles", page_roles },
		    { "split", reference_split_shared } };
	for (size_t p = 0; p < ARRAY_LEN(pages); p++)
		if (!strcmp(argv[*i], pages[p].name)) {
			words->print = pages[p].print;
			return 1;
		}
	words->role = role_find(argv[*i]);
	return words->role != NULL;
}

int cmd_reference(struct cli *c, int argc, char **argv)
{
	struct reference_words words = { 0 };
	int code = 0;
	if (!command_words(c, argc, argv, help, reference_option, &words, &code))
		return code;
	if (!words.print && !words.role) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (words.role)
		reference_split_role(words.role);
	else
		words.print();
	return fflush(stdout) == 0 ? 0 : 1;
}
