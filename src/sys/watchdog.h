/*
 * watchdog: a thread that looks whether the loop still turns. Floor F1. It looks once a second; when no turn has begun for more than
 * WATCHDOG_STUCK_MS it says so once, with what was being done where that is known, counts it, and says when the loop turns again. A
 * process that did not run as a whole (SIGSTOP, a suspended host) is not held to be stuck.
 *
 * What it cannot do: answer for the loop. Who asks a stuck server gets no answer until it turns again, and then that it was stuck:
 * watchdog_late_ms is over the bound for whoever waited meanwhile, and until a beat has come in time. A service manager's watchdog is fed
 * from the loop itself and by nobody else, so that a stuck loop is not kept alive by a thread that is well. If the loop stands inside the
 * log (its reader stopped, a disk hangs), this thread waits there too.
 */
#ifndef SYS_WATCHDOG_H
#define SYS_WATCHDOG_H

#include "lucid/loop.h"

#define WATCHDOG_STUCK_MS 5000

/* Of the one loop of this process that is watched. Loop thread. */
void watchdog_start(struct loop *l);
void watchdog_stop(void); /* also when none was started */

/* Loop thread: what is being done now; static text, NULL: nothing that has a name. */
void watchdog_doing(const char *what);
/* Loop thread: how late the loop was when it last should have begun a turn, or is now; 0 when none is watched. */
int64_t watchdog_late_ms(void);

#endif
