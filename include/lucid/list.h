/* list: intrusive doubly linked list. Floor F0. The head is a separate `struct list`; nodes are embedded in their owners. Not for: owning
 * memory. */
#ifndef LUCID_LIST_H
#define LUCID_LIST_H

#include "lucid/base.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_append(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}
static inline void list_prepend(struct list *head, struct list *n)
{
	list_append(head->next, n);
}
/* Unlinks a node. Safe for a node that is initialised but not in a list, and safe to repeat. */
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
/* Unlinks and returns the first node; NULL: the list is empty. */
static inline struct list *list_take_first(struct list *head)
{
	if (list_empty(head))
		return NULL;
	struct list *n = head->next;
	list_remove(n);
	return n;
}

/* The node in its owner, by pointer arithmetic: at the end of an iteration `pos` is not a valid owner, and may be misaligned. */
#define LIST_NODE(pos, member) ((struct list *)(void *)((char *)(pos) + offsetof(__typeof__(*(pos)), member)))

#define LIST_FOREACH(pos, head, member)                                                                                \
	for (pos = CONTAINER_OF((head)->next, __typeof__(*pos), member); LIST_NODE(pos, member) != (head);             \
	     pos = CONTAINER_OF(LIST_NODE(pos, member)->next, __typeof__(*pos), member))
/* The same, but the body may remove and free `pos`. */
#define LIST_FOREACH_SAFE(pos, tmp, head, member)                                                                      \
	for (pos = CONTAINER_OF((head)->next, __typeof__(*pos), member),                                               \
	    tmp = CONTAINER_OF(LIST_NODE(pos, member)->next, __typeof__(*pos), member);                                \
	     LIST_NODE(pos, member) != (head);                                                                         \
	     pos = tmp, tmp = CONTAINER_OF(LIST_NODE(tmp, member)->next, __typeof__(*tmp), member))

#endif
