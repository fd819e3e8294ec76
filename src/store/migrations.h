/* migrations: how the store's schema came to be, step by step. Floor F3, a table only. A step is never changed once it was
 * released; a new field of collections.c is a new step here (ALTER TABLE … ADD COLUMN f_x, filled by json_extract). */
#ifndef STORE_MIGRATIONS_H
#define STORE_MIGRATIONS_H

#include "lucid/base.h"

struct store_migration {
	int number; /* user_version once it has run */
	const char *what, *sql;
};
extern const struct store_migration store_migrations[];
extern const size_t store_migrations_n;

#define STORE_APPLICATION_ID 0x4c524450 /* "LRDP" */

#endif
