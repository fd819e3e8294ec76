/* clock: time, in one place so that tests can fake it. Floor F0, any thread, never blocks. */
#ifndef LUCID_CLOCK_H
#define LUCID_CLOCK_H

#include "lucid/base.h"

int64_t clock_mono_ns(void);
static inline int64_t clock_mono_us(void)
{
	return clock_mono_ns() / 1000;
}
static inline int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}
int64_t clock_wall_ms(void); /* since 1970, UTC */

#define CLOCK_ISO_SIZE 25 /* "2026-11-21T10:00:00.000Z" and the NUL */
/* ISO 8601 in UTC with milliseconds; years 1970 to 9999. Returns dst. */
char *clock_iso(char dst[CLOCK_ISO_SIZE], int64_t wall_ms);
/* The reverse; also without milliseconds and with +hh:mm. False when it is not a time. */
bool clock_from_iso(const char *s, int64_t *ret_wall_ms);

/* For tests: added to both clocks. */
void clock_shift_ms(int64_t ms);

#endif
