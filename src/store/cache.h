/*
 * cache: serialised documents by id, above every driver. Floor F3, loop thread only, never blocks. Bounded in bytes; the least recently used
 * documents are evicted first. It holds only durable documents: a write enters the cache when it is answered.
 *
 * A read or write is announced before its request goes to the driver, and ended when the request returns; in between, its entry is pinned.
 * A write that changed the document, or may have, raises the entry's generation. A read enters its result only if the generation has not
 * changed since it was announced, so that a read that raced with a write never enters an old document.
 * Overlapping writes of one document leave nothing in the cache, as a driver need not answer them in order.
 * Not for: caching that a document does not exist.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct store_cache;
struct cache_entry;

struct store_cache *store_cache_new(struct loop *l, size_t bytes); /* 0: caches nothing */
void store_cache_free(struct store_cache *c);			   /* takes NULL */
size_t store_cache_bytes(const struct store_cache *c);

/* Their results are valid until the turn of the loop ends. */
bool store_cache_peek(struct store_cache *c, enum store_collection col, const char *id, struct store_doc *ret);
json_t *store_cache_peek_doc(struct store_cache *c, enum store_collection col, const char *id);

enum cache_outcome { CACHE_SAME /* nothing was changed */, CACHE_STORED, CACHE_DELETED, CACHE_UNKNOWN };
struct cache_entry *store_cache_begin_write(struct store_cache *c, enum store_collection col, const char *id);
void store_cache_end_write(struct store_cache *c, struct cache_entry *e, enum cache_outcome outcome, struct blob *text,
			   int64_t version);
struct cache_entry *store_cache_begin_read(struct store_cache *c, enum store_collection col, const char *id,
					   uint64_t *ret_generation);
/* text NULL: not found; `failed`: the read failed. */
void store_cache_end_read(struct store_cache *c, struct cache_entry *e, uint64_t generation, bool failed,
			  struct blob *text, int64_t version);

#endif
