/*
 * http_pool: the connections of a client that nobody uses at the moment, and the end of those that are of no use any more.
 * Floor F2, loop thread only, never blocks. Not for: how many there may be in use (http_client.h).
 */
#ifndef NET_HTTP_POOL_H
#define NET_HTTP_POOL_H

#include "net/http_link.h"

#define POOL_IDLE_MS 20000 /* well below what servers grant, so that we are seldom surprised by their closing */
#define POOL_IDLE_PLACE 64 /* kept to one place: as many as are busy there, for all may be answered in one turn and asked again in the next */
#define POOL_IDLE_ALL 256  /* and to all of them */

struct http_pool {
	struct loop *loop;
	struct list idle, doomed; /* idle: the latest used first */
	unsigned n_idle;
	struct loop_task bury;
	struct loop_timer *sweep;
};

void pool_init(struct http_pool *p, struct loop *l);
void pool_done(struct http_pool *p);
/* One to that place that still stands, no longer the pool's; NULL: there is none. */
struct link *pool_take(struct http_pool *p, const struct http_url *place);
void pool_keep(struct http_pool *p, struct link *k);
/* Freed at the end of the turn: we may be inside an event of it. */
void pool_doom(struct http_pool *p, struct link *k);
/* Those to that place, or all with NULL, are not trusted any more. */
void pool_drop(struct http_pool *p, const struct http_url *place);

#endif
