#include "store/sqlite/db.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lucid/fold.h"
#include "lucid/str.h"

#define BUSY_MS 5000

/* The SQL function fold_contains(column, part), for STORE_CONTAINS; null contains nothing. */
static void contains(sqlite3_context *c, UNUSED int n, sqlite3_value **v)
{
	const char *s = (const char *)sqlite3_value_text(v[0]), *part = (const char *)sqlite3_value_text(v[1]);
	sqlite3_result_int(c, s && part && fold_contains(s, part));
}

int sqlite_settings(struct sqlite_db *db, bool writer)
{
	/* a batch of 64 touches several hundred pages, so that SQLite's default of 1000 would checkpoint at every other commit.
	 * Small caches: documents are cached above (store/cache.h), and an idle store should use little memory */
	static const char both[] = "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
				   "PRAGMA cache_size=-512";
	static const char writers[] = "PRAGMA synchronous=FULL; PRAGMA cache_size=-4096; PRAGMA journal_size_limit=4194304;"
				      "PRAGMA wal_autocheckpoint=4000";
	sqlite3_extended_result_codes(db->h, 1);
	sqlite3_busy_timeout(db->h, BUSY_MS);
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	int rc = sqlite3_create_function_v2(db->h, "fold_contains", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, contains,
					    NULL, NULL, NULL);
	rc = rc ? rc : sqlite3_exec(db->h, both, NULL, NULL, NULL);
	return rc == SQLITE_OK && writer ? sqlite3_exec(db->h, writers, NULL, NULL, NULL) : rc;
}

int sqlite_open_reader(struct sqlite_db *db, const char *path)
{
	struct stat st;
	*db = (struct sqlite_db){ .path = path };
	/* SQLite waits in open() for a writer of a pipe */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return SQLITE_NOTADB;
	int rc = sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite_settings(db, false);
	return rc;
}

void sqlite_db_close(struct sqlite_db *db)
{
	sqlite3_stmt *st;
	for (size_t i = 0; i < SQLITE_LIST_STATEMENTS; i++)
		free(db->lists[i].sql);
	while (db->h && (st = sqlite3_next_stmt(db->h, NULL)))
		sqlite3_finalize(st);
	sqlite3_close(db->h);
	*db = (struct sqlite_db){ .path = db->path };
}

void sqlite_column_name(char dst[64], const char *path)
{
	snprintf(dst, 64, "f_%s", path);
	for (char *p = dst; *p; p++)
		if (*p == '.')
			*p = '_';
}

void sqlite_bind_string(sqlite3_stmt *st, int at, const char *s)
{
	if (s)
		sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

struct blob *sqlite_column_blob(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_text(st, column);
	return blob_new(p ? p : "", (size_t)sqlite3_column_bytes(st, column));
}

static int prepare(struct sqlite_db *db, sqlite3_stmt **stmt, const char *sql)
{
	if (*stmt)
		return SQLITE_OK;
	return sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
}

/* Runs the statement to its end, ignores its rows, and clears its bindings. */
static int statement_run(sqlite3_stmt *st)
{
	int rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		;
	int reset = sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE ? SQLITE_OK : reset ? reset : rc;
}

int sqlite_run(struct sqlite_db *db, sqlite3_stmt **stmt, const char *sql)
{
	int rc = prepare(db, stmt, sql);
	return rc ? rc : statement_run(*stmt);
}

/* --- writes. Parameters: 1 id, 2 expected version, 3 version, 4 text, from 5 the fields. */

static void add_columns(struct strbuf *b, const struct store_collection_def *def, const char *fmt)
{
	char name[64];
	for (size_t i = 0; i < def->n; i++) {
		sqlite_column_name(name, def->fields[i].path);
		if (strcmp(fmt, "column") == 0)
			strbuf_printf(b, ",%s", name);
		else if (strcmp(fmt, "param") == 0)
			strbuf_printf(b, ",?%zu", i + 5);
		else if (strcmp(fmt, "excluded") == 0)
			strbuf_printf(b, ",%s=excluded.%s", name, name);
		else
			strbuf_printf(b, ",%s=?%zu", name, i + 5);
	}
}

static char *write_sql(enum store_verb verb, const struct store_collection_def *def)
{
	struct strbuf b = { 0 };
	if (verb == STORE_DELETE) {
		strbuf_printf(&b, "DELETE FROM %s WHERE id=?1 AND (?2=0 OR version=?2)", def->name);
		return strbuf_take(&b);
	}
	if (verb == STORE_REPLACE) {
		strbuf_printf(&b, "UPDATE %s SET version=?3,doc=?4", def->name);
		add_columns(&b, def, "set");
		strbuf_puts(&b, " WHERE id=?1 AND (?2=0 OR version=?2)");
		return strbuf_take(&b);
	}
	strbuf_printf(&b, "INSERT INTO %s(id,version,doc", def->name);
	add_columns(&b, def, "column");
	strbuf_puts(&b, ")VALUES(?1,?3,?4");
	add_columns(&b, def, "param");
	strbuf_puts(&b, ")ON CONFLICT(id)DO ");
	if (verb == STORE_INSERT) {
		strbuf_puts(&b, "NOTHING");
	} else {
		strbuf_puts(&b, "UPDATE SET version=excluded.version,doc=excluded.doc");
		add_columns(&b, def, "excluded");
	}
	return strbuf_take(&b);
}

static void bind_fields(sqlite3_stmt *st, const struct store_request_op *op)
{
	const struct store_collection_def *def = &store_collections[op->col];
	sqlite3_bind_int64(st, 3, op->version);
	sqlite3_bind_text64(st, 4, op->text->data, op->text->len, SQLITE_STATIC, SQLITE_UTF8);
	for (size_t i = 0; i < def->n; i++) {
		const struct store_value *v = &op->values[i];
		if (v->set && def->fields[i].type == STORE_INTEGER)
			sqlite3_bind_int64(st, (int)i + 5, v->number);
		else
			sqlite_bind_string(st, (int)i + 5, v->text);
	}
}

/* Nothing was changed: whether the document is missing or has another version. */
static int why_unchanged(struct sqlite_db *db, const struct store_request_op *op, enum store_result *ret)
{
	char sql[128];
	snprintf(sql, sizeof sql, "SELECT version FROM %s WHERE id=?1", store_collections[op->col].name);
	sqlite3_stmt **st = &db->version[op->col];
	int rc = prepare(db, st, sql);
	if (rc)
		return rc;
	sqlite_bind_string(*st, 1, op->id);
	rc = sqlite3_step(*st);
	*ret = rc == SQLITE_ROW ? STORE_STALE : STORE_MISSING;
	if (rc == SQLITE_ROW)
		return statement_run(*st);
	int reset = sqlite3_reset(*st);
	sqlite3_clear_bindings(*st);
	return rc == SQLITE_DONE ? SQLITE_OK : reset ? reset : rc;
}

int sqlite_write(struct sqlite_db *db, const struct store_request_op *op, enum store_result *ret)
{
	sqlite3_stmt **st = &db->write[op->col][op->verb];
	if (!*st) {
		_cleanup_(xfreep) char *sql = write_sql(op->verb, &store_collections[op->col]);
		int rc = prepare(db, st, sql);
		if (rc)
			return rc;
	}
	sqlite_bind_string(*st, 1, op->id);
	if (op->verb == STORE_REPLACE || op->verb == STORE_DELETE)
		sqlite3_bind_int64(*st, 2, op->expect);
	if (op->text)
		bind_fields(*st, op);
	int rc = statement_run(*st);
	if (rc)
		return rc;
	*ret = STORE_OK;
	if (sqlite3_changes(db->h) > 0)
		return SQLITE_OK;
	if (op->verb != STORE_INSERT)
		return why_unchanged(db, op, ret);
	*ret = STORE_EXISTS;
	return SQLITE_OK;
}

int sqlite_get(struct sqlite_db *db, struct store_request *r)
{
	const struct store_request_op *op = &r->ops[0];
	char sql[128];
	snprintf(sql, sizeof sql, "SELECT doc,version FROM %s WHERE id=?1", store_collections[op->col].name);
	sqlite3_stmt **st = &db->get[op->col];
	int rc = prepare(db, st, sql);
	if (rc)
		return rc;
	sqlite_bind_string(*st, 1, op->id);
	rc = sqlite3_step(*st);
	r->result = rc == SQLITE_ROW ? STORE_OK : STORE_MISSING;
	if (rc == SQLITE_ROW) {
		r->text = sqlite_column_blob(*st, 0);
		r->version = sqlite3_column_int64(*st, 1);
		return statement_run(*st);
	}
	int reset = sqlite3_reset(*st);
	sqlite3_clear_bindings(*st);
	return rc == SQLITE_DONE ? SQLITE_OK : reset ? reset : rc;
}
