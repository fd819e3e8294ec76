/* sandbox: what a recorder may not do. Floor F5, in the recorder. It reads pictures from an X server that belongs to a user, and holds the
 * recording's key. */
#ifndef RECORDER_SANDBOX_H
#define RECORDER_SANDBOX_H

#include "lucid/base.h"

#define SANDBOX_MEMORY (512u << 20) /* of addresses; the largest screen, its copy with fewer colours, and libraries */

/* At the start: no new privileges, no core dump, not readable in /proc, bounded memory, nice 10. False, with errno: it must exit. */
bool sandbox_begin(void);
/* After the set-up: a system call that a recording does not need fails with EPERM from now on: no program can be executed, no socket created,
 * no other process touched. False, with errno: as above. */
bool sandbox_close(void);

#endif
