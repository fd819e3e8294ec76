/* under_way: counts operations in progress, and notifies when there are none; for the drain of a role. Floor F0, loop thread only. */
#ifndef LUCID_UNDER_WAY_H
#define LUCID_UNDER_WAY_H

#include "lucid/base.h"

struct under_way { /* initialise with {0} */
	size_t n;
	void (*on_none)(void *arg);
	void *arg;
};

static inline void under_way_tell(struct under_way *u)
{
	void (*on_none)(void *) = u->n ? NULL : u->on_none;
	if (!on_none)
		return;
	u->on_none = NULL; /* once */
	on_none(u->arg);
}

static inline void under_way_begin(struct under_way *u)
{
	u->n++;
}

static inline void under_way_end(struct under_way *u)
{
	u->n--;
	under_way_tell(u);
}

/* Calls on_none once when no operation is in progress, possibly inside this call. */
static inline void under_way_wait(struct under_way *u, void (*on_none)(void *arg), void *arg)
{
	u->on_none = on_none;
	u->arg = arg;
	under_way_tell(u);
}

#endif
