/*
 * pair_source: sources between the two ends of a pair. Floor F4, loop thread only. The reader's end asks for each piece by a frame,
 * so that at most one of each source is in the channel; whichever end lets go tells the other. Not for: calls (pair.h).
 */
#ifndef BUS_PAIR_SOURCE_H
#define BUS_PAIR_SOURCE_H

#include "lucid/source.h"
#include "sys/channel.h"

struct pair_sources;
struct pair_sources *pair_sources_new(struct loop *l, struct channel *c);
/* The other end is gone: what came from there breaks off, what went there is closed. */
void pair_sources_lost(struct pair_sources *p);
void pair_sources_free(struct pair_sources *p); /* the same; takes NULL */

/* The answer to the call of this number goes out of it; a reference is taken. False: too many do, or that number has one. */
bool pair_source_out(struct pair_sources *p, const char *number, struct source *source);
/* What comes in of the answer to that call; the hold is the caller's. Too many: it breaks off at once. */
struct source *pair_source_in(struct pair_sources *p, const char *number);
/* Nobody wants what comes in. */
void pair_source_refuse(struct pair_sources *p, const char *number);
/* A frame; false: not one of these. */
bool pair_source_frame(struct pair_sources *p, uint8_t kind, const char *data, size_t len);

#endif
