/* pair_served: calls that the peer of a socket pair sends to this end, and the replies to them. Floor F4, loop thread. Part of pair.c. */
#ifndef BUS_PAIR_SERVED_H
#define BUS_PAIR_SERVED_H

#include "lucid/bus.h"

struct channel;
struct pair_served;
struct pair_sources;

/* At most `max` calls are served at once; further ones fail with ERR_BUSY. */
struct pair_served *pair_served_new(struct loop *l, struct bus *b, struct channel *ch, struct pair_sources *sources, size_t max);
void pair_served_free(struct pair_served *s); /* takes NULL; after pair_served_drop */
void pair_served_drop(struct pair_served *s); /* cancels all */
void pair_served_call(struct pair_served *s, const json_t *frame, size_t len); /* len: of the frame */
void pair_served_cancel(struct pair_served *s, const json_t *frame);

#endif
