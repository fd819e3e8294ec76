#include "store/sqlite/walk.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lucid/str.h"
#include "store/migrations.h"
#include "store/sqlite/db.h"
#include "store/sqlite/fault.h"

/* Opens the file without changing anything. If it has no log, no process has it open; SQLite would create a log, unless it is told that the file
 * is immutable. */
static int open_as_it_is(struct sqlite_db *db, const char *path)
{
	struct stat st;
	_cleanup_(xfreep) char *log = xasprintf("%s-wal", path);
	*db = (struct sqlite_db){ .path = path };
	if (stat(log, &st) == 0 && st.st_size)
		return sqlite_open_reader(db, path);
	struct strbuf uri = { 0 };
	strbuf_puts(&uri, "file:");
	for (const char *p = path; *p; p++)
		if (*p == '%' || *p == '?' || *p == '#')
			strbuf_printf(&uri, "%%%02x", (unsigned)*p);
		else
			strbuf_putc(&uri, *p);
	strbuf_puts(&uri, "?immutable=1");
	int rc = sqlite3_open_v2(uri.s, &db->h, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	strbuf_done(&uri);
	return rc == SQLITE_OK ? sqlite_settings(db, false) : rc;
}

static int is_ours(struct sqlite_db *db, bool *ret)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, "PRAGMA application_id", -1, &st, NULL);
	*ret = rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int64(st, 0) == STORE_APPLICATION_ID;
	int end = sqlite3_finalize(st);
	return rc ? rc : end;
}

/* Selects id, text, and whether each column equals the document's value at its path. */
static char *select_all(const struct store_collection_def *def)
{
	struct strbuf sql = { 0 };
	char name[64];
	strbuf_puts(&sql, "SELECT id,doc,version IS json_extract(doc,'$.version')");
	for (size_t i = 0; i < def->n; i++) {
		if (def->fields[i].type == STORE_TEXT_LIST)
			continue;
		sqlite_column_name(name, def->fields[i].path);
		strbuf_printf(&sql, " AND %s IS json_extract(doc,'$.%s')", name, def->fields[i].path);
	}
	strbuf_printf(&sql, " FROM %s ORDER BY id", def->name);
	return strbuf_take(&sql);
}

static int walk(struct sqlite_db *db, const struct store_collection_def *def, store_walk_fn fn, void *arg)
{
	_cleanup_(xfreep) char *sql = select_all(def);
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, sql, -1, &st, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(st, 0), *text = (const char *)sqlite3_column_text(st, 1);
		size_t len = (size_t)sqlite3_column_bytes(st, 1);
		if (!fn(id ? id : "", text ? text : "", len, sqlite3_column_int(st, 2) == 1, arg))
			break;
		rc = SQLITE_OK;
	}
	int end = sqlite3_finalize(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc ? rc : end;
}

int store_walk(const char *path, enum store_collection col, store_walk_fn fn, void *arg, char *why, size_t size)
{
	struct sqlite_db db;
	struct stat st;
	bool ours = false;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "no file %s exists", path);
		return -ERR_NOT_FOUND;
	}
	int rc = open_as_it_is(&db, path);
	if (rc == SQLITE_OK)
		rc = is_ours(&db, &ours);
	if (rc == SQLITE_OK && ours)
		rc = walk(&db, &store_collections[col], fn, arg);
	int r = rc ? sqlite_fault(&db, rc, why, size) : ours ? 0 : -ERR_INVALID;
	if (rc == SQLITE_OK && !ours)
		snprintf(why, size, "%s is not a store of this program", path);
	sqlite_db_close(&db);
	return r;
}
