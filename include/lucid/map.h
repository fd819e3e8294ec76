/* map: string → pointer hash table. Floor F0, one thread at a time. Keys are copied; values are borrowed, the owner frees
 * them (map_free takes a destructor for that). Bounded by `max` entries: map_put answers false when full. */
#ifndef LUCID_MAP_H
#define LUCID_MAP_H

#include "lucid/list.h"

struct map;

struct map *map_new(size_t max);
void map_free(struct map *m, void (*free_value)(void *)); /* takes NULL; free_value may be NULL */

void *map_get(const struct map *m, const char *key);
/* Put or replace. ret_old (may be NULL) gets the value that was there. False: full, nothing changed. */
bool map_put(struct map *m, const char *key, void *value, void **ret_old);
void *map_remove(struct map *m, const char *key); /* the value that was there, or NULL */
size_t map_count(const struct map *m);

/* Walk in order of insertion; start with a position of {0}. The current entry may be removed while walking. False at the
 * end. ret_key and ret_value may be NULL; the key is valid until the entry goes. */
struct map_pos {
	const struct list *next;
};
bool map_next(const struct map *m, struct map_pos *pos, const char **ret_key, void **ret_value);

/* SipHash-like keyed hash of n bytes, seeded once per process, so that callers cannot choose collisions. */
uint64_t map_hash(const void *data, size_t n);

#endif
