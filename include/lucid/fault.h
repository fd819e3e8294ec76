/*
 * fault: failure on order, for tests. Floor F0, any thread. In release builds nothing of this is there.
 *
 * The file named by LUCID_FAULTS (read again when it changes, looked at every 20 ms at most) holds lines "POINT WHEN [N]":
 *   store.begin always | store.commit every 3 | store.commit once | bus.answer delay 50 | alloc after 100000
 * WHEN: always, once, `every N`-th time, `after N` times, `delay N` ms. Points are named where they stand; unknown ones do
 * nothing.
 */
#ifndef LUCID_FAULT_H
#define LUCID_FAULT_H

#include "lucid/base.h"

#ifdef LUCID_TEST
bool fault_hit(const char *point);	/* fail here now? */
int64_t fault_delay_ms(const char *point); /* wait here so long; 0: not at all */
#else
static inline bool fault_hit(UNUSED const char *point)
{
	return false;
}
static inline int64_t fault_delay_ms(UNUSED const char *point)
{
	return 0;
}
#endif

#endif
