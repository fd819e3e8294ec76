/*
 * mongo_order: write lists that touch one document go to the database in the order in which they were asked, all others side by
 * side. Floor F3, loop thread only, never blocks. A list takes its place in the row of each document it touches, at once, and
 * goes when it stands first in all of them; so none waits in a ring. Rows are told apart by a hash: two documents may share one,
 * which costs time and nothing else.
 */
#ifndef STORE_MONGO_ORDER_H
#define STORE_MONGO_ORDER_H

#include "store/driver.h"

struct mongo_order;
struct mongo_order *mongo_order_new(void);
void mongo_order_free(struct mongo_order *o); /* empty; takes NULL */

struct mongo_place {
	struct list node;
	struct mongo_turn *turn;
};
struct mongo_turn {
	size_t n, blocked; /* places taken; those in which it is not the first */
	struct mongo_place *places;
};
/* True: it may go now. */
bool mongo_order_enter(struct mongo_order *o, struct mongo_turn *t, const struct store_request *r);
/* It is done: `go` is called for each that may go now because of it. */
void mongo_order_leave(struct mongo_order *o, struct mongo_turn *t, void (*go)(struct mongo_turn *t));

#endif
