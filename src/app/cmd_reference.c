#include <stdio.h>

#include "app/commands.h"
#include "app/defaults.h"
#include "app/options.h"
#include "app/roles.h"
#include "app/server.h"
#include "lucid/errs.h"
#include "lucid/metrics.h"
#include "lucid/op.h"
#include "store/indexes.h"
#include "sys/log.h"

/* The README's reference pages, printed from the tables that the program itself goes by, so that they cannot say anything
 * else. `make docs` writes them, lint compares. */

static const char help[] = "lucid-rdp reference api|config|errors|metrics|mongo: prints a reference page as Markdown, or deploy/mongo-init.js, from the program's own tables.\n";

/* A cell of a table: a bar or a line's end in it would end it. */
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
	printf("# Settings\n\nGiven by, highest first: `--set NAME=value`, the environment, `--env-file`, the configuration file, the default. "
	       "`NAME_FILE` reads a value from a file.\nSIGHUP rereads what is marked *live*; what is marked *not yet* is refused in a sentence.\n\n"
	       "| name | allowed | default | |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < options_n; i++) {
		const struct option *o = &options[i];
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
	       "| code | status | again | what it says when there is nothing better |\n| --- | --- | --- | --- |\n");
	for (int e = 1; e < ERR_COUNT; e++) {
		int k = 0;
		while (k < e && (!seen[k] || strcmp(seen[k], err_code(e)) != 0))
			k++;
		if (k < e)
			continue; /* an outcome that looks like an earlier one from outside */
		seen[e] = err_code(e);
		printf("| %s | %d | %s | ", err_code(e), err_status(e), err_again(e) ? "may succeed later" : "no");
		cell(err_text(e));
		printf(" |\n");
	}
}

static const char *scope_name(enum op_scope s)
{
	static const char *const names[] = { [OP_PUBLIC] = "anyone", [OP_USER] = "user", [OP_ADMIN] = "admin", [OP_SERVICE] = "admin, service" };
	return names[s];
}

static void page_api(void)
{
	const char *role = "";
	printf("# Operations\n\nThe whole description, with every field, is `GET /openapi.json`. Every port answers every route.\n");
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++) {
			const struct op *op = &(*t)->ops[i];
			if (!op->verb)
				continue;
			if (strcmp(role, op->role) != 0) {
				role = op->role;
				printf("\n## %s\n\n| | who | answers | |\n| --- | --- | --- | --- |\n", role);
			}
			printf("| %s `%s` | %s | %d | ", op->verb, op->path, scope_name(op->scope), op->status ? op->status : 200);
			cell(op->summary ? op->summary : "");
			printf(" |\n");
		}
}

/* --- figures: each room makes its own when it is made, so all are made once, on settings of nobody's */

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

/* A folder that cannot be and a Redis that is nowhere: nothing is read, written or reached. */
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
	env.config = config_load(options, options_n, &(struct config_input){ .env = no_env, .set = set, .no_dotenv = true }, &faults, &faults);
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
	printf("# Figures\n\n`GET /metrics` on every port and on `PROMETHEUS_PORT`: Prometheus text, or OpenMetrics when it is asked for. A family "
	       "without a series is left out there; those of Redis need `REDIS_URL`.\n\n| name | type | labels | |\n| --- | --- | --- | --- |\n");
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
	printf("// Collections, validators and indexes of lucid-rdp, printed from its own tables (make docs; lint compares). The program makes the indexes\n"
	       "// itself when it first opens a database; this is for who prepares one: mongosh mongodb://HOST/lucid_rdp mongo-init.js, or mounted in\n"
	       "// /docker-entrypoint-initdb.d. It may be run again. A document's text is in json; what stands beside it is for filters and sorts.\n\n"
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

static int take(UNUSED struct cli *c, UNUSED int argc, char **argv, int *i, void *arg)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} pages[] = { { "api", page_api }, { "config", page_config }, { "errors", page_errors }, { "metrics", page_metrics }, { "mongo", page_mongo } };
	for (size_t p = 0; p < ARRAY_LEN(pages); p++)
		if (!strcmp(argv[*i], pages[p].name)) {
			*(void (**)(void))arg = pages[p].print;
			return 1;
		}
	return 0;
}

int cmd_reference(struct cli *c, int argc, char **argv)
{
	void (*print)(void) = NULL;
	int code = 0;
	if (!command_words(c, argc, argv, help, take, &print, &code))
		return code;
	if (!print) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	print();
	return fflush(stdout) == 0 ? 0 : 1;
}
