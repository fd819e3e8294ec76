/* walk: every document of a collection in a store's file, in the order of ids. Floor F3; for sub-commands: blocks, needs no
 * loop, changes nothing, works beside a running program (then it sees one moment). Not for: who may read the file. */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "lucid/store.h"

/* `fits`: what filters and lists go by is what the document says. False ends the walk. */
typedef bool (*store_walk_fn)(const char *id, const char *text, size_t len, bool fits, void *arg);
/* 0, also when fn ended it, or a negated error with a sentence. */
int store_walk(const char *path, enum store_collection col, store_walk_fn fn, void *arg, char *why, size_t size);

#endif
