#include "api/assets/assets.h"

#include <stdio.h>

#include "api/answer/head.h"
#include "api/answer/page.h"
#include "api/answer/reply.h"
#include "api/request.h"
#include "lucid/id.h"
#include "lucid/str.h"

#define TAG_DIGITS 32 /* of the digest; sufficient to distinguish the versions of a file */

/* the symbol of web/a/b.css is asset_a_b_css */
#define EMBEDDED(name) extern const char asset_##name[]; extern const uint32_t asset_##name##_size
EMBEDDED(docs_style_css);
EMBEDDED(player_chunk_js);
EMBEDDED(player_controls_js);
EMBEDDED(player_dom_js);
EMBEDDED(player_follower_js);
EMBEDDED(player_format_js);
EMBEDDED(player_index_html);
EMBEDDED(player_keys_js);
EMBEDDED(player_page_css);
EMBEDDED(player_page_js);
EMBEDDED(player_playback_js);
EMBEDDED(player_player_css);
EMBEDDED(player_player_js);
EMBEDDED(player_records_js);
EMBEDDED(player_screen_js);
EMBEDDED(player_source_js);
EMBEDDED(player_thumbnails_js);
EMBEDDED(player_timeline_js);
EMBEDDED(player_timetable_js);

#define FILE_POLICY "default-src 'none'; frame-ancestors 'none'"
#define PLAYER_POLICY                                                                                                  \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "  \
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

/* Clients ask each time whether they have the current file, so that all files of a page are of one version. */
#define FILE_ROW(type, policy, debug, dir, name, ext)                                                                  \
	{ "/" #dir "/" #name "." #ext, type "; charset=utf-8", "no-cache", policy, debug, asset_##dir##_##name##_##ext, \
	  &asset_##dir##_##name##_##ext##_size }
#define PLAYER_SCRIPT(name) FILE_ROW("text/javascript", FILE_POLICY, false, player, name, js)
#define PLAYER_STYLE(name) FILE_ROW("text/css", FILE_POLICY, false, player, name, css)

const struct asset assets[] = {
	FILE_ROW("text/css", FILE_POLICY, true, docs, style, css),
	FILE_ROW("text/html", PLAYER_POLICY, false, player, index, html),
	PLAYER_STYLE(page),
	PLAYER_STYLE(player),
	PLAYER_SCRIPT(chunk),
	PLAYER_SCRIPT(controls),
	PLAYER_SCRIPT(dom),
	PLAYER_SCRIPT(follower),
	PLAYER_SCRIPT(format),
	PLAYER_SCRIPT(keys),
	PLAYER_SCRIPT(page),
	PLAYER_SCRIPT(playback),
	PLAYER_SCRIPT(player),
	PLAYER_SCRIPT(records),
	PLAYER_SCRIPT(screen),
	PLAYER_SCRIPT(source),
	PLAYER_SCRIPT(thumbnails),
	PLAYER_SCRIPT(timeline),
	PLAYER_SCRIPT(timetable),
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

/* The page refers to its files by relative URLs, so that it also works behind a proxy with a prefix. */
void assets_player_page(struct request *q)
{
	struct answer_head h;
	head_begin(q, &h, NULL);
	head_add_location(q, &h, "/player/index.html");
	reply_with_head(q, 302, &h, NULL);
}
