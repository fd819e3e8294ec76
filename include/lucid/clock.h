/* clock: every read of a clock, in one place, so that tests can shift time. Floor F0, any thread, never blocks. */
#ifndef LUCID_CLOCK_H
#define LUCID_CLOCK_H

#include "lucid/base.h"

int64_t clock_mono_ns(void); /* monotonic: for durations and deadlines */
static inline int64_t clock_mono_us(void)
{
	return clock_mono_ns() / 1000;
}
static inline int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}
int64_t clock_wall_ms(void); /* since 1970, UTC; may jump: for timestamps, never for durations */
int64_t clock_boot_ms(void); /* since boot, including suspended time: the same in every process, and the clock of /proc/PID/stat */

#define CLOCK_ISO_SIZE 25 /* "2026-11-21T10:00:00.000Z" and the NUL */
/* ISO 8601 in UTC with milliseconds; years 1970 to 9999. Returns dst. */
char *clock_iso(char dst[CLOCK_ISO_SIZE], int64_t wall_ms);
/* Parses an RFC 3339 time, with any fraction of a second and any zone. False if it is invalid, or before 1970 or after 9999 in UTC. A
 * leap second (23:59:60 UTC on the last day of June or December) is read as the second after it. */
bool clock_from_iso(const char *s, int64_t *ret_wall_ms);

/* For tests: added to all clocks. */
void clock_shift_ms(int64_t ms);

#endif
