/*
 * feed: receives the events of another process from its GET /events. Floor F4, loop thread only, never blocks. Only events of that process
 * itself are received (own=true), not those it received from others. A lost connection is re-established and resumes at the last event.
 * If it cannot resume, and at the first connection, subscribers get a BUS_GAP.
 * Not for: events through Redis (redis_events.h; app/peers.h chooses between the two), calls (rest.h).
 */
#ifndef BUS_FEED_H
#define BUS_FEED_H

#include "auth/service_token.h"
#include "bus/transport.h"
#include "net/client/http_client.h"

#define FEED_SILENCE_MS 16000 /* the stream has an event or keep-alive every 5 s */

struct feed;
/* Initially paused. on_alive (may be NULL) is called when the stream is connected. `url` as for rest_new; one feed for each. Client and
 * token outlive it. */
struct feed *feed_new(struct loop *l, struct bus *b, struct http_client *client, struct service_token *token, const char *url,
		      void (*on_alive)(void *arg), void *arg);
void feed_pause(struct feed *f, bool paused);
void feed_free(struct feed *f); /* before the client is freed; takes NULL */
void feed_declare_figures(void); /* as rest_declare_figures */

#endif
