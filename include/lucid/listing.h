/*
 * listing: lists with filters, order and pages. Floor F4 (implemented in src/listing), any thread, never blocks.
 *
 * An operation describes its list in a static table: the query parameters that filter it, and its order. From that table and a query,
 * listing_query makes a query to the store, and listing_pick a page of items in memory, with the same result. The shape of the query
 * (LISTING_FIELDS in roles/contract) has bounds and defaults; queries passed here must have been validated against it. Not for: access
 * control.
 */
#ifndef LUCID_LISTING_H
#define LUCID_LISTING_H

#include "lucid/store.h"

/* A filter: an item matches if its member `path` compares with the value of `param`, a text or an integer. Without `param` in the query, all
 * items match. */
struct listing_filter {
	const char *param;
	const char *path; /* NULL: the name of the parameter */
	enum store_cmp cmp; /* not STORE_IN */
};
struct listing {
	const struct listing_filter *filters;
	size_t n;
	const char *sort;	 /* default order: a field, prefixed with '-' for descending order */
	const char *const *ties; /* fields that order equal items, ascending, NULL-terminated; NULL: none. The store orders them by id */
};

struct listing_page {
	size_t limit, offset;
};
/* Page or offset of a validated query. */
struct listing_page listing_page(const json_t *query);
/* The member `pagination` of the response, for a list of `total` items. A new reference. */
json_t *listing_pagination(const struct listing_page *p, int64_t total);

/* Fills in a query to the store: filters, order, page, with the total. Texts are borrowed from `query`. */
void listing_query(const struct listing *l, const json_t *query, const struct listing_page *p, struct store_query *ret);
/* Adds a filter without a query parameter. text NULL: no filter. */
void listing_narrow(struct store_query *q, const char *path, enum store_cmp cmp, const char *text);

/* In memory: filters `items` (an array of objects, borrowed) by the query and by `may_see`, sorts them, and returns a page of them in a
 * new array. ret_total gets the number of matching items. */
json_t *listing_pick(const struct listing *l, const json_t *query, const struct listing_page *p, const json_t *items,
		     bool (*may_see)(const json_t *item, void *arg), void *arg, size_t *ret_total);

#endif
