/*
 * flights: coalesces identical reads, so that the database gets each question once. Floor F3, of this room alone, loop thread only, never
 * blocks.
 *
 * For each question one request is in flight at a time; it departs at the end of the loop's turn. Identical requests that arrive before that
 * join it. Later ones wait until it has returned, and then depart together as one request. So each is answered by a read that began after
 * it was made, and sees all earlier writes. Not for: the embedded store, where the cache has most answers and a read costs less
 * than waiting for another.
 */
#ifndef STORE_FLIGHTS_H
#define STORE_FLIGHTS_H

#include "store/driver.h"

struct flights;
struct flights *flights_new(void);
void flights_free(struct flights *f); /* with nothing in flight; takes NULL */

/* A get or a list. True: it departs with this turn. False: it joined another request, or waits for it. */
bool flights_enter(struct flights *f, struct store_request *r);
void flights_depart(struct flights *f, const struct store_request *r);
/* The request has returned. ret_same gets the requests that joined it and those that were given up. Returns the request that departs next, or
 * NULL. */
struct store_request *flights_leave(struct flights *f, struct store_request *r, struct list *ret_same);

#endif
