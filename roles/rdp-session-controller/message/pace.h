/* pace: which of many pieces of work on several hosts may begin now: a bounded number on each host, and in all. They begin in the order in
 * which they were added; one whose host is busy does not hold up those of other hosts. Floor F6, pure. */
#ifndef SESSIONS_PACE_H
#define SESSIONS_PACE_H

#include "lucid/base.h"

struct pace;
struct pace *pace_new(size_t on_each_host, size_t in_all, size_t max_items);
void pace_free(struct pace *p);
/* `item` is the caller's number for it, below max_items; each is added once. */
void pace_add(struct pace *p, const char *host, size_t item);
/* Begins the next item that may begin now. False: none may. */
bool pace_begin(struct pace *p, size_t *ret_item);
void pace_end(struct pace *p, size_t item); /* an item that has begun is over */
/* Takes the next item that has not begun, which never will. False: there is none. */
bool pace_give_up(struct pace *p, size_t *ret_item);
bool pace_idle(const struct pace *p); /* none has begun that is not over */

#endif
