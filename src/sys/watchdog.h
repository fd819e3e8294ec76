/*
 * watchdog: a thread that detects a stalled event loop. Floor F1. It checks once a second. If the loop has not run for more than
 * WATCHDOG_STUCK_MS, it logs that once, with the operation in progress if it is known, and counts it; it also logs when the loop has
 * resumed. If the whole process did not run (SIGSTOP, a suspended host), that is no stall.
 *
 * The watchdog cannot answer requests for the loop. While the loop is stalled, clients get no response. Requests that waited are then
 * told of the stall: watchdog_late_ms stays above the bound until the loop's timer fires in time again. The service manager's watchdog
 * is notified from the loop only, so that this thread cannot hide a stall from it. If the loop is blocked in the log (a stopped reader, a
 * hanging disk), this thread blocks there too.
 */
#ifndef SYS_WATCHDOG_H
#define SYS_WATCHDOG_H

#include "lucid/loop.h"

#define WATCHDOG_STUCK_MS 5000

/* Watch this loop; a process watches one loop. Loop thread. */
void watchdog_start(struct loop *l);
void watchdog_stop(void); /* also when none was started */

/* Loop thread: the operation in progress; static text; NULL: none that has a name. */
void watchdog_doing(const char *what);
/* Loop thread: how late the loop's timer is, or was when it last fired, whichever is more; 0 if no loop is watched. */
int64_t watchdog_late_ms(void);

#endif
