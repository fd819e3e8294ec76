/*
 * lists: answers to lists, until their collection is written to. Floor F3, of this room alone, loop thread only, never blocks. Bounded in
 * bytes and number; the answer that was kept first is dropped first.
 *
 * The beginning of a write and its end both drop the answers of its collection and raise its generation. An answer is kept only if the
 * generation is the one with which its read began, so that no answer outlives a write that it may not have seen. Not for: databases that other
 * processes write to.
 */
#ifndef STORE_LISTS_H
#define STORE_LISTS_H

#include "store/driver.h"

struct lists;
struct lists *lists_new(void);
void lists_free(struct lists *l); /* takes NULL */

/* Called when a write to the collection goes to the driver, and again when it has returned. */
void lists_written(struct lists *l, enum store_collection col);
uint64_t lists_generation(const struct lists *l, enum store_collection col);

/* A list that was answered, with the generation with which it began. */
void lists_keep(struct lists *l, const struct store_request *r);
/* True: the same list was kept, and r has its answer. */
bool lists_answer(struct lists *l, struct store_request *r);

#endif
