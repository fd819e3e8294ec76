#include "lucid/listing.h"

struct listing_page listing_page(const json_t *query)
{
	int64_t limit = doc_int(query, "limit", 20);
	return (struct listing_page){ (size_t)limit, (size_t)doc_int(query, "offset", (doc_int(query, "page", 1) - 1) * limit) };
}

json_t *listing_pagination(const struct listing_page *p, int64_t total)
{
	int64_t n = (int64_t)p->limit, at = (int64_t)p->offset;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "page", (json_int_t)(at / n + 1), "limit", (json_int_t)n, "offset",
			 (json_int_t)at, "total", (json_int_t)total, "pages", (json_int_t)((total + n - 1) / n), "has_next",
			 at + n < total, "has_previous", at > 0);
}
