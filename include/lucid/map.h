/* map: hash table of strings to pointers. Floor F0, one thread at a time. Keys are copied; values are borrowed, and their owner frees
 * them (map_free can take a destructor). It holds at most `max` entries: when it is full, map_put returns false. */
#ifndef LUCID_MAP_H
#define LUCID_MAP_H

#include "lucid/list.h"

struct map;

struct map *map_new(size_t max);
void map_free(struct map *m, void (*free_value)(void *)); /* takes NULL; free_value may be NULL */

void *map_get(const struct map *m, const char *key); /* NULL: absent */
/* Insert or replace. ret_old (may be NULL) gets the previous value. False: full, and nothing changed. */
bool map_put(struct map *m, const char *key, void *value, void **ret_old);
void *map_remove(struct map *m, const char *key); /* returns the removed value, or NULL */
size_t map_count(const struct map *m);

/* Iterate in insertion order, from a position of {0}. The current entry may be removed meanwhile. False at the end. ret_key and
 * ret_value may be NULL; the key is valid until the entry is removed. */
struct map_pos {
	const struct list *next;
};
bool map_next(const struct map *m, struct map_pos *pos, const char **ret_key, void **ret_value);

/* SipHash-1-3 of n bytes, with a random key for each process, so that callers cannot construct collisions. */
uint64_t map_hash(const void *data, size_t n);

#endif
