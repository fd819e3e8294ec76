/*
 * migrations: how the embedded store's schema came to be, step by step, as SQL. Floor F3, any thread. The steps follow from the versions in
 * lucid/collections.def: step n creates the collections of version n, and adds the fields and indexes of version n to older ones. MongoDB
 * counts the same steps (mongo/schema.h).
 */
#ifndef STORE_MIGRATIONS_H
#define STORE_MIGRATIONS_H

#include "lucid/store.h"

#define STORE_APPLICATION_ID 0x4c524450 /* "LRDP" */

int store_schema_newest(void); /* the version that this program writes; the first is 1 */
/* The SQL that migrates a store from version `number` - 1 to `number`; the caller frees it. A new store runs the same steps as an older one, so
 * that both end with the same schema. */
char *store_migration_sql(int number);
/* The same of one collection alone. */
struct strbuf;
void store_migration_add(struct strbuf *sql, const struct store_collection_def *def, int number);

#endif
