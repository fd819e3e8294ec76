/*
 * pair_source: sources across a socket pair. Floor F4, loop thread only. The reader's end requests each piece, so that at most one piece
 * of each source is in the channel. An end that closes a source notifies the other. Not for: calls (pair.h).
 */
#ifndef BUS_PAIR_SOURCE_H
#define BUS_PAIR_SOURCE_H

#include "lucid/source.h"
#include "sys/channel.h"

struct pair_sources;
struct pair_sources *pair_sources_new(struct loop *l, struct channel *c);
/* The peer has disconnected: incoming sources fail, outgoing ones are closed. */
void pair_sources_lost(struct pair_sources *p);
void pair_sources_free(struct pair_sources *p); /* the same, and frees p; takes NULL */

/* Sends a source as the answer to the call of this number; takes a reference. False: too many sources, or the number is in use. */
bool pair_source_out(struct pair_sources *p, const char *number, struct source *source);
/* The incoming source of the answer to that call; the caller owns the reference. Beyond the limit the source fails at once. */
struct source *pair_source_in(struct pair_sources *p, const char *number);
/* Tells the peer to close the source of that call. */
void pair_source_refuse(struct pair_sources *p, const char *number);
/* Processes a frame. False: it is not one of these kinds. */
bool pair_source_frame(struct pair_sources *p, uint8_t kind, const char *data, size_t len);

#endif
