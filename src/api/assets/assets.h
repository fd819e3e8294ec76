/*
 * assets: static files, embedded in the program. Floor F5, loop thread only, never blocks. The Makefile makes an object of each file below
 * web/; a row of the table in assets.c gives it a path. The ETag is a digest of the content. Not for: generated pages (reference/docs.h).
 */
#ifndef API_ASSETS_ASSETS_H
#define API_ASSETS_ASSETS_H

#include "lucid/base.h"

struct request;

struct asset {
	const char *path; /* in a URL */
	const char *type; /* Content-Type */
	const char *cache; /* Cache-Control */
	const char *policy; /* Content-Security-Policy */
	bool debug; /* only with DEBUG=true */
	const char *bytes;
	const uint32_t *size;
};
extern const struct asset assets[];
extern const size_t n_assets;

struct asset_store;
struct asset_store *assets_new(void);
void assets_free(struct asset_store *s);
/* The page function of all assets. */
void assets_page(struct request *q);
/* The page function of /player: redirects to the player's page, with the public prefix. Browsers keep the fragment of the URL. */
void assets_player_page(struct request *q);

#endif
