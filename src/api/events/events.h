/*
 * events: GET /events, the events of this program as server-sent events. Floor F5, loop thread only, never blocks.
 *
 * An event is serialised once, kept in a ring (bus/ring.h), and sent by reference to every stream that may receive it: an admin receives
 * all events, a user those of its own objects. A client that reconnects with Last-Event-ID gets the events it missed, after `stream.gap` if
 * some of them are no longer in the ring. The stream of a client that reads too slowly is closed; the client can resume. A stream ends when
 * its token expires. To other roles of this program (bus/feed.h) the field `seq` precedes each event: its origin and its sequence number.
 * Browsers ignore unknown fields.
 */
#ifndef API_EVENTS_EVENTS_H
#define API_EVENTS_EVENTS_H

#include "lucid/shape.h"

struct api;
struct request;
struct events;
extern const struct shape events_query;
struct events *events_new(struct api *a);
void events_drain(struct events *all); /* ends all streams with `stream.end` and refuses new ones */
void events_free(struct events *all);
void events_page(struct request *q);

#endif
