/*
 * cache: serialised documents by id, above every driver. Floor F3, loop thread only, never blocks. Bounded in bytes, the
 * least recently used go first. It never holds what is not durable: a write enters it when it was answered.
 *
 * Reads and writes announce themselves before they leave for the driver and report when they are back; between the two the
 * entry is held. A write that changed the document (or may have) raises the entry's generation, and a read only enters what
 * it found when the generation is still the one it left with: so a read that raced with a write leaves nothing old behind.
 * Writes of one document that overlap leave nothing in the cache, as no driver need answer them in order.
 * Not for: documents that are missing.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct store_cache;
struct cache_entry;

struct store_cache *store_cache_new(struct loop *l, size_t bytes); /* 0: holds nothing */
void store_cache_free(struct store_cache *c);			   /* takes NULL */
size_t store_cache_bytes(const struct store_cache *c);

/* What they give lives until the loop's turn ends. */
bool store_cache_peek(struct store_cache *c, enum store_collection col, const char *id, struct store_doc *ret);
json_t *store_cache_peek_doc(struct store_cache *c, enum store_collection col, const char *id);

enum cache_outcome { CACHE_SAME /* nothing was changed */, CACHE_STORED, CACHE_DELETED, CACHE_UNKNOWN };
struct cache_entry *store_cache_begin_write(struct store_cache *c, enum store_collection col, const char *id);
void store_cache_end_write(struct store_cache *c, struct cache_entry *e, enum cache_outcome outcome, struct blob *text,
			   int64_t version);
struct cache_entry *store_cache_begin_read(struct store_cache *c, enum store_collection col, const char *id,
					   uint64_t *ret_generation);
/* text NULL: not found; `failed`: nothing is known. */
void store_cache_end_read(struct store_cache *c, struct cache_entry *e, uint64_t generation, bool failed,
			  struct blob *text, int64_t version);

#endif
