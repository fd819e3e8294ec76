/*
 * csv: streams a list of any length as CSV (RFC 4180). Floor F4 (implemented in src/listing), loop thread only, never blocks.
 *
 * The reader requests items (JSON objects) one page at a time, and each becomes a line; the first line has the column names. A text that a
 * spreadsheet would treat as a formula (it begins with =, +, -, @, tab or carriage return) is prefixed with an apostrophe, because it may
 * come from a user. Not for: selecting and sorting items (lucid/listing.h).
 */
#ifndef LUCID_CSV_H
#define LUCID_CSV_H

#include "lucid/doc.h"
#include "lucid/source.h"

/* A column. null and absent members are empty; objects and arrays are written as JSON. */
struct csv_column {
	const char *name;
	const char *path; /* of the member in the item; dots descend into objects */
};

struct csv;
struct csv_items {
	/* Requests the next items: call csv_put, csv_end or csv_break, now or later. */
	void (*want)(struct csv *c, void *ctx);
	/* The reader has closed the source: csv and source are freed when this returns. Called once. */
	void (*close)(void *ctx);
};
/* `columns` must be static. The caller owns the returned source, and answers a call with it (call_ok_source). */
struct source *csv_new(struct loop *l, const struct csv_column *columns, size_t n, const struct csv_items *items, void *ctx);
void csv_put(struct csv *c, const json_t *items); /* an array, borrowed; only after `want`; may be empty */
void csv_end(struct csv *c); /* there are no more items */
void csv_break(struct csv *c, int err, const char *why); /* aborts the stream, as source_break does */

#endif
