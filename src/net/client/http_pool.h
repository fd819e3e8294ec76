/*
 * http_pool: idle connections of a client, kept for reuse, and the disposal of unusable ones. Floor F2, loop thread only, never blocks.
 * Not for: the number of connections in use (http_origin.h).
 */
#ifndef NET_CLIENT_HTTP_POOL_H
#define NET_CLIENT_HTTP_POOL_H

#include "net/client/http_link.h"

#define POOL_IDLE_MS 20000  /* shorter than the idle timeout of servers, so that a reused connection is rarely closed by the peer */
#define POOL_IDLE_ORIGIN 64 /* idle connections to one origin: as many as can be busy, since all may become idle in one turn of the loop */
#define POOL_IDLE_ALL 256   /* idle connections to all origins */

struct http_pool {
	struct loop *loop;
	struct list idle, doomed; /* idle: most recently used first */
	unsigned n_idle;
	struct loop_task bury;
	struct loop_timer *sweep;
};

void pool_init(struct http_pool *p, struct loop *l);
void pool_done(struct http_pool *p);
/* Removes a live connection to that origin from the pool and returns it; NULL: there is none. */
struct link *pool_take(struct http_pool *p, const struct http_url *origin);
void pool_keep(struct http_pool *p, struct link *k);
/* Frees a connection at the end of the loop's turn: the caller may be inside one of its events. */
void pool_doom(struct http_pool *p, struct link *k);
/* Closes the idle connections to that origin, or all with NULL. */
void pool_drop(struct http_pool *p, const struct http_url *origin);

#endif
