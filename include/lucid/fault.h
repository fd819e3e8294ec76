/*
 * fault: fault injection for tests. Floor F0, any thread; base.c uses it, so it does not include lucid/base.h. Release
 * builds contain none of it.
 *
 * The file named by LUCID_FAULTS has lines "POINT WHEN [N]". It is checked for changes at most every 20 ms:
 *   store.begin always | store.commit every 3 | store.commit once | bus.answer delay 50 | alloc after 100000
 * WHEN: always, once, `every N`-th time, `after N` times, `delay N` ms. The calls of fault_hit and fault_delay_ms name the points; an
 * unknown point has no effect.
 */
#ifndef LUCID_FAULT_H
#define LUCID_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef LUCID_TEST
bool fault_hit(const char *point);	/* whether this point must fail now */
int64_t fault_delay_ms(const char *point); /* how long to wait at this point; 0: not at all */
#else
static inline bool fault_hit(const char *point)
{
	(void)point;
	return false;
}
static inline int64_t fault_delay_ms(const char *point)
{
	(void)point;
	return 0;
}
#endif

#endif
