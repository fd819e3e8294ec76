#include "api/assets/assets.h"

#include <stdio.h>

#include "api/answer/page.h"
#include "api/request.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define TAG_DIGITS 32 /* of the digest; sufficient to distinguish the versions of a file */

/* the symbol of web/a/b.css is asset_a_b_css */
#define EMBEDDED(name) extern const char asset_##name[]; extern const uint32_t asset_##name##_size
EMBEDDED(docs_style_css);

#define STYLE_POLICY "default-src 'none'; frame-ancestors 'none'"

const struct asset assets[] = {
	{ "/docs/style.css", "text/css; charset=utf-8", "no-cache", STYLE_POLICY, true, asset_docs_style_css, &asset_docs_style_css_size },
};
const size_t n_assets = ARRAY_LEN(assets);

struct asset_store {
	struct {
		struct blob *blob;
		char etag[TAG_DIGITS + 3];
	} of[ARRAY_LEN(assets)];
};

struct asset_store *assets_new(void)
{
	struct asset_store *s = XNEW(struct asset_store);
	for (size_t i = 0; i < n_assets; i++) {
		char digest[ID_DIGEST_SIZE];
		s->of[i].blob = blob_new(assets[i].bytes, *assets[i].size);
		id_digest(digest, assets[i].bytes, *assets[i].size);
		snprintf(s->of[i].etag, sizeof s->of[i].etag, "\"%.*s\"", TAG_DIGITS, digest);
	}
	return s;
}

void assets_free(struct asset_store *s)
{
	for (size_t i = 0; i < n_assets; i++)
		blob_unref(s->of[i].blob);
	free(s);
}

void assets_page(struct request *q)
{
	size_t i = 0;
	while (!str_eq(assets[i].path, q->endpoint->path))
		i++; /* every path with this page function has a row */
	const struct page page = { .type = assets[i].type, .policy = assets[i].policy, .cache = assets[i].cache,
				   .etag = q->api->assets->of[i].etag, .debug = assets[i].debug };
	page_reply(q, &page, q->api->assets->of[i].blob);
}
