/*
 * flights: the same question, asked by many while it waits for a database, is asked there once. Floor F3, of this room, loop thread
 * only, never blocks.
 *
 * Of each question one is under way at a time, and leaves at the end of the loop's turn. Who asks the same until then goes with it; who
 * asks later waits for it to come back, and then all who wait go as one: so each is answered by a read that began after it was asked,
 * and sees what was written before. Not for: stores of our own host, where the cache has most answers and a read costs less than
 * waiting for one.
 */
#ifndef STORE_FLIGHTS_H
#define STORE_FLIGHTS_H

#include "store/driver.h"

struct flights;
struct flights *flights_new(void);
void flights_free(struct flights *f); /* with nothing under way; takes NULL */

/* A get or a list. True: it is to leave with this turn. False: it goes with another. */
bool flights_enter(struct flights *f, struct store_request *r);
void flights_depart(struct flights *f, const struct store_request *r);
/* It is back. Those that its answer answers too, and those that gave up waiting, come in `ret_same`; and what is to leave next, or
 * NULL. */
struct store_request *flights_leave(struct flights *f, struct store_request *r, struct list *ret_same);

#endif
