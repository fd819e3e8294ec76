#include "store/migrations.h"

#include "lucid/str.h"

/* A collection is a table: id, version, a column for each declared field (f_ and its path with underscores), which the writer fills in, and
 * the document's text. The text is the last column, so that reading another one does not read it; columns that are added later follow it. */

static int since(int version, const struct store_collection_def *def)
{
	return version ? version : def->since;
}

static void add_column_name(struct strbuf *sql, const char *path, size_t len)
{
	strbuf_puts(sql, "f_");
	for (size_t i = 0; i < len; i++)
		strbuf_putc(sql, path[i] == '.' ? '_' : path[i]);
}

static void add_column(struct strbuf *sql, const struct store_field *f)
{
	add_column_name(sql, f->path, strlen(f->path));
	strbuf_puts(sql, f->type == STORE_INTEGER ? " INTEGER" : " TEXT");
}

static void create_table(struct strbuf *sql, const struct store_collection_def *def)
{
	strbuf_printf(sql, "CREATE TABLE %s(id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, ", def->name);
	for (size_t i = 0; i < def->n; i++) {
		if (since(def->fields[i].since, def) > def->since)
			continue;
		add_column(sql, &def->fields[i]);
		strbuf_puts(sql, ", ");
	}
	strbuf_puts(sql, "doc TEXT NOT NULL) STRICT;");
}

/* Existing documents get the value that the writer would give them (request.c): of another type than the field's, it is null. */
static void add_field(struct strbuf *sql, const struct store_collection_def *def, const struct store_field *f)
{
	strbuf_printf(sql, "ALTER TABLE %s ADD COLUMN ", def->name);
	add_column(sql, f);
	strbuf_printf(sql, ";UPDATE %s SET ", def->name);
	add_column_name(sql, f->path, strlen(f->path));
	strbuf_printf(sql, "=CASE WHEN json_type(doc,'$.%s')", f->path);
	if (f->type == STORE_TEXT)
		strbuf_printf(sql, "='text' THEN json_extract(doc,'$.%s') END;", f->path);
	else if (f->type == STORE_INTEGER)
		strbuf_printf(sql, " IN ('integer','true','false') THEN json_extract(doc,'$.%s') END;", f->path);
	else
		strbuf_printf(sql, "='array' THEN (SELECT json_group_array(value) FROM json_each(doc,'$.%s') WHERE type='text') END;", f->path);
}

static void create_index(struct strbuf *sql, const struct store_collection_def *def, const struct store_index_def *x)
{
	strbuf_printf(sql, "CREATE INDEX %s_%s ON %s(", def->name, x->name, def->name);
	for (const char *p = x->keys; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		strbuf_puts(sql, p == x->keys ? "" : ", ");
		add_column_name(sql, p, len);
		p += len;
	}
	strbuf_puts(sql, ");");
}

void store_migration_add(struct strbuf *sql, const struct store_collection_def *def, int number)
{
	if (def->since == number)
		create_table(sql, def);
	for (size_t i = 0; i < def->n; i++)
		if (def->since < number && since(def->fields[i].since, def) == number)
			add_field(sql, def, &def->fields[i]);
	for (const struct store_index_def *x = def->embedded; x->name; x++)
		if (since(x->since, def) == number)
			create_index(sql, def, x);
}

char *store_migration_sql(int number)
{
	struct strbuf sql = { 0 };
	for (int col = 0; col < COL_COUNT; col++)
		store_migration_add(&sql, &store_collections[col], number);
	if (number == 1) /* written to find out whether writing works again */
		strbuf_puts(&sql, "CREATE TABLE store_probe(one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;");
	return strbuf_take(&sql);
}

int store_schema_newest(void)
{
	int newest = 1;
	for (int col = 0; col < COL_COUNT; col++) {
		const struct store_collection_def *def = &store_collections[col];
		newest = MAX(newest, def->since);
		for (size_t i = 0; i < def->n; i++)
			newest = MAX(newest, def->fields[i].since);
		for (const struct store_index_def *x = def->embedded; x->name; x++)
			newest = MAX(newest, x->since);
		for (const struct store_index_def *x = def->mongodb; x->name; x++)
			newest = MAX(newest, x->since);
	}
	return newest;
}
