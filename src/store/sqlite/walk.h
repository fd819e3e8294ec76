/* walk: reads every document of a collection from a store's file, in the order of ids. Floor F3; for sub-commands: blocks, needs no loop, and
 * changes nothing. Beside a running program it reads one snapshot. Not for: permissions. */
#ifndef STORE_SQLITE_WALK_H
#define STORE_SQLITE_WALK_H

#include "lucid/store.h"

/* `fits`: the columns that filters use agree with the document. False ends the walk. */
typedef bool (*store_walk_fn)(const char *id, const char *text, size_t len, bool fits, void *arg);
/* 0, also if fn ended the walk, or a negated error with a sentence. */
int store_walk(const char *path, enum store_collection col, store_walk_fn fn, void *arg, char *why, size_t size);

#endif
