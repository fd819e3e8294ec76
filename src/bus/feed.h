/*
 * feed: hear the events of another process, over its GET /events. Floor F4, loop thread only, never blocks. What happened there
 * (own=true), and nothing that it heard from others, is delivered here as that process's; a connection that is lost is made
 * again, and goes on where it ended. Where that is not possible, and at the first time, subscribers get a BUS_GAP.
 * Not for: events that come by another way (peers.h says when they do); calls (rest.h).
 */
#ifndef BUS_FEED_H
#define BUS_FEED_H

#include "auth/service_token.h"
#include "bus/transport.h"
#include "net/http_client.h"

#define FEED_SILENCE_MS 16000 /* the other side says something every 5 s */

struct feed;
/* Paused at first. on_alive (NULL: nobody): the other side speaks. `url` as rest_new's, each once in a process. Client and token outlive it. */
struct feed *feed_new(struct loop *l, struct bus *b, struct http_client *client, struct service_token *token, const char *url,
		      void (*on_alive)(void *arg), void *arg);
void feed_pause(struct feed *f, bool paused);
void feed_free(struct feed *f); /* before the client; takes NULL */
void feed_declare_figures(void); /* as rest_declare_figures */

#endif
