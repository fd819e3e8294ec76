/* pair_calls: calls that this end of a socket pair sends to the peer, and their replies. Floor F4, loop thread. Part of pair.c. */
#ifndef BUS_PAIR_CALLS_H
#define BUS_PAIR_CALLS_H

#include "bus/call.h"

struct channel;
struct pair_calls;
struct pair_sources;

struct pair_calls *pair_calls_new(struct channel *ch, struct pair_sources *sources);
void pair_calls_free(struct pair_calls *s); /* takes NULL; after pair_calls_drop */
void pair_calls_drop(struct pair_calls *s); /* fails all calls in flight with ERR_UNCERTAIN */
/* As in struct transport. */
void pair_calls_send(struct pair_calls *s, struct call *c);
void pair_calls_cancel(struct pair_calls *s, struct call *c);
void pair_calls_reply(struct pair_calls *s, const json_t *frame); /* a reply of the peer */

#endif
