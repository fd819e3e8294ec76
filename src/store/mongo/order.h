/*
 * order: sends write lists of the same document to the database in the order of their calls, and all others concurrently. Floor F3, of this
 * room alone, loop thread only, never blocks. A list enters the queues of all its documents at once, and goes when it is first in each; so
 * there is no deadlock. Queues are found by a hash: two documents may share one, which only costs time.
 */
#ifndef STORE_MONGO_ORDER_H
#define STORE_MONGO_ORDER_H

#include "store/driver.h"

struct mongo_order;
struct mongo_order *mongo_order_new(void);
void mongo_order_free(struct mongo_order *o); /* it must be empty; takes NULL */

struct mongo_place {
	struct list node;
	struct mongo_turn *turn;
};
struct mongo_turn {
	size_t n, blocked; /* places in queues; those in which it is not first */
	struct mongo_place *places;
};
/* True: the list may go now. */
bool mongo_order_enter(struct mongo_order *o, struct mongo_turn *t, const struct store_request *r);
/* The list is done. Calls `go` for each list that may go now. */
void mongo_order_leave(struct mongo_order *o, struct mongo_turn *t, void (*go)(struct mongo_turn *t));

#endif
