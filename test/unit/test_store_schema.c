/* The schema of the embedded store: what follows from the rows of lucid/collections.def. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "lucid/id.h"
#include "lucid/str.h"
#include "store/indexes.h"
#include "store/migrations.h"
#include "store/sqlite/backup.h"
#include "store/sqlite/db.h"

static void run(sqlite3 *h, const char *sql)
{
	char *why = NULL;
	if (sqlite3_exec(h, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", why, sql);
}

static char *text_of(sqlite3 *h, const char *sql)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	const char *s = (const char *)sqlite3_column_text(st, 0);
	char *copy = xstrdup(s ? s : "null");
	sqlite3_finalize(st);
	return copy;
}

static void assert_text(sqlite3 *h, const char *sql, const char *want)
{
	_cleanup_(xfreep) char *got = text_of(h, sql);
	assert_string_equal(got, want);
}

/* MongoDB refuses a second index of the same name, and one on the same keys by another name. */
static void test_indexes_of_a_collection_differ_in_name_and_keys(UNUSED void **state)
{
	struct store_index a, b;
	for (unsigned col = 0; col < COL_COUNT; col++)
		for (size_t i = 0; store_index_at(col, i, &a); i++)
			for (size_t k = i + 1; store_index_at(col, k, &b); k++)
				if (str_eq(a.name, b.name) || str_eq(a.keys, b.keys))
					fail_msg("%s: indexes %s (%s) and %s (%s)", store_collections[col].name, a.name, a.keys, b.name, b.keys);
}

static void test_every_version_has_a_step(UNUSED void **state)
{
	assert_true(store_schema_newest() >= 2);
	for (int n = 1; n <= store_schema_newest(); n++) {
		bool mongodb_only = false; /* an index that only MongoDB has */
		for (int col = 0; col < COL_COUNT; col++)
			for (const struct store_index_def *x = store_collections[col].mongodb; x->name; x++)
				mongodb_only |= x->since == n;
		_cleanup_(xfreep) char *sql = store_migration_sql(n);
		assert_true(*sql || mongodb_only);
	}
	_cleanup_(xfreep) char *none = store_migration_sql(store_schema_newest() + 1);
	assert_string_equal(none, "");
}

/* Stores of these versions exist. A difference here means that a row was changed instead of extended by a new version. */
static void test_released_steps_never_change(UNUSED void **state)
{
	static const char *const digests[] = {
		"84e2b16ec017c38feff4902e00db243266a3caf895b1b022f753e0a604094fcb",
		"38bfae9f9fc6e89817ca82fd5923436a9b39c853705219f26e50072d407dfa26",
	};
	for (int n = 1; n <= (int)ARRAY_LEN(digests); n++) {
		_cleanup_(xfreep) char *sql = store_migration_sql(n);
		char digest[ID_DIGEST_SIZE];
		id_digest(digest, sql, strlen(sql));
		assert_string_equal(digest, digests[n - 1]);
	}
}

static void test_added_fields_and_indexes_reach_existing_documents(UNUSED void **state)
{
	static const struct store_field fields[] = {
		{ STORE_TEXT, "status" }, { STORE_TEXT, "meta.color", 3 }, { STORE_INTEGER, "size", 3 }, { STORE_TEXT_LIST, "tags", 4 },
	};
	static const struct store_index_def indexes[] = { { "status", "status" }, { "color", "meta.color,status", 3 }, { NULL } };
	const struct store_collection_def def = { .name = "things", .since = 2, .fields = fields, .n = ARRAY_LEN(fields), .embedded = indexes,
						  .mongodb = &indexes[2] };
	struct strbuf sql = { 0 };
	sqlite3 *h;
	assert_int_equal(sqlite3_open(":memory:", &h), SQLITE_OK);
	for (int n = 1; n <= 5; n++) {
		strbuf_reset(&sql);
		store_migration_add(&sql, &def, n);
		assert_int_equal(sql.len != 0, n >= 2 && n <= 4);
		if (sql.len)
			run(h, sql.s);
		if (n == 2) {
			run(h, "INSERT INTO things(id,version,f_status,doc) VALUES('a',1,'on','{\"meta\":{\"color\":\"red\"},\"size\":7,\"tags\":[\"x\",1,\"y\"]}'),"
			       "('b',1,'on','{\"meta\":{\"color\":5},\"size\":true,\"tags\":\"x\"}'),('c',1,'on','{\"size\":\"large\"}')");
			assert_text(h, "SELECT group_concat(name) FROM pragma_index_list('things') WHERE origin='c'", "things_status");
		}
	}
	assert_text(h, "SELECT group_concat(ifnull(f_meta_color,'null')) FROM (SELECT * FROM things ORDER BY id LIMIT 9)", "red,null,null");
	assert_text(h, "SELECT group_concat(ifnull(f_size,'null')) FROM (SELECT * FROM things ORDER BY id LIMIT 9)", "7,1,null");
	assert_text(h, "SELECT group_concat(ifnull(f_tags,'null')) FROM (SELECT * FROM things ORDER BY id LIMIT 9)", "[\"x\",\"y\"],null,null");
	assert_text(h, "SELECT group_concat(name) FROM pragma_table_info('things')", "id,version,f_status,doc,f_meta_color,f_size,f_tags");
	assert_text(h, "SELECT group_concat(name) FROM pragma_index_info('things_color')", "f_meta_color,f_status");
	strbuf_done(&sql);
	sqlite3_close(h);
}

/* --- a store of version 1 */

static char *make_first_version(const char *folder)
{
	char *path = xasprintf("%s/first.db", folder);
	_cleanup_(xfreep) char *sql = store_migration_sql(1);
	sqlite3 *h;
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	run(h, "PRAGMA application_id=0x4c524450; PRAGMA journal_mode=WAL");
	run(h, sql);
	run(h, "PRAGMA user_version=1; INSERT INTO rdp_servers(id,version,doc) VALUES('a',1,'{\"version\":1}')");
	sqlite3_close(h);
	return path;
}

static char *schema_of(const char *path)
{
	sqlite3 *h;
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	char *s = text_of(h, "SELECT group_concat(sql,char(10)) FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)");
	sqlite3_close(h);
	return s;
}

static void remove_store(const char *path)
{
	static const char *const beside[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		_cleanup_(xfreep) char *p = xasprintf("%s%s", path, beside[i]);
		unlink(p);
	}
}

static void test_older_store_is_counted_and_migrated(UNUSED void **state)
{
	char folder[] = "/tmp/lrdp-schema-XXXXXX", why[512] = "";
	assert_non_null(mkdtemp(folder));
	_cleanup_(xfreep) char *path = make_first_version(folder), *fresh = xasprintf("%s/fresh.db", folder);
	struct backup_facts facts = { 0 };
	assert_int_equal(backup_look(path, &facts, why, sizeof why), 0);
	assert_int_equal(facts.schema, 1);
	assert_int_equal(facts.counts[COL_SERVERS], 1);
	assert_int_equal(facts.counts[COL_LEASES], 0);
	struct sqlite_db db;
	assert_int_equal(sqlite_open_writer(&db, path, true, why, sizeof why), 0);
	assert_text(db.h, "SELECT count(*) FROM rdp_servers", "1");
	sqlite_db_close(&db);
	assert_int_equal(sqlite_open_writer(&db, fresh, true, why, sizeof why), 0);
	sqlite_db_close(&db);
	_cleanup_(xfreep) char *migrated = schema_of(path), *made = schema_of(fresh);
	assert_string_equal(migrated, made);
	assert_int_equal(backup_look(path, &facts, why, sizeof why), 0);
	assert_int_equal(facts.schema, store_schema_newest());
	remove_store(path);
	remove_store(fresh);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_indexes_of_a_collection_differ_in_name_and_keys),
		cmocka_unit_test(test_every_version_has_a_step),
		cmocka_unit_test(test_released_steps_never_change),
		cmocka_unit_test(test_added_fields_and_indexes_reach_existing_documents),
		cmocka_unit_test(test_older_store_is_counted_and_migrated),
	};
	return cmocka_run_group_tests_name("store_schema", tests, NULL, NULL);
}
