#include "store/mongo/order.h"

#define ROWS 4096

struct mongo_order {
	struct list rows[ROWS];
};

struct mongo_order *mongo_order_new(void)
{
	struct mongo_order *o = XNEW(struct mongo_order);
	for (size_t i = 0; i < ROWS; i++)
		list_init(&o->rows[i]);
	return o;
}

void mongo_order_free(struct mongo_order *o)
{
	free(o);
}

/* FNV-1a */
static size_t row_of(const struct store_request_op *op)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)op->col;
	for (const char *p = op->id; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return (h ^ h >> 32) & (ROWS - 1);
}

/* NULL: n is the head of a row. */
static struct mongo_turn *turn_at(const struct mongo_order *o, const struct list *n)
{
	return n >= o->rows && n < o->rows + ROWS ? NULL : CONTAINER_OF(n, struct mongo_place, node)->turn;
}

bool mongo_order_enter(struct mongo_order *o, struct mongo_turn *t, const struct store_request *r)
{
	t->n = r->kind == STORE_KIND_WRITE ? r->nops : 0;
	t->blocked = 0;
	t->places = t->n ? xcalloc(t->n, sizeof *t->places) : NULL;
	for (size_t i = 0; i < t->n; i++) {
		struct list *row = &o->rows[row_of(&r->ops[i])];
		struct mongo_turn *first = turn_at(o, row->next);
		t->blocked += first && first != t; /* it does not wait for itself */
		t->places[i].turn = t;
		list_append(row, &t->places[i].node);
	}
	return !t->blocked;
}

void mongo_order_leave(struct mongo_order *o, struct mongo_turn *t, void (*go)(struct mongo_turn *t))
{
	for (size_t i = 0; i < t->n; i++) {
		struct list *next = t->places[i].node.next;
		list_remove(&t->places[i].node);
		struct mongo_turn *waiting = turn_at(o, next);
		if (!waiting || waiting == t)
			continue;
		/* its places in this row follow each other, and all are first now */
		for (struct list *n = next; turn_at(o, n) == waiting; n = n->next)
			waiting->blocked--;
		if (!waiting->blocked)
			go(waiting);
	}
	free(t->places);
	t->places = NULL;
	t->n = 0;
}
