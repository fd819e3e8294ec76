/*
 * recover: restarts servers whose start failed for a cause that can pass (a full or read-only disk, an expired certificate) once it has
 * passed. Floor F3, supervisor only, loop thread; a job tests the disks.
 */
#ifndef HOST_INSTANCE_RECOVER_H
#define HOST_INSTANCE_RECOVER_H

#include "host/core.h"

struct recover *recover_new(struct host *h);
void recover_free(struct recover *r); /* takes NULL */
void recover_look(struct recover *r); /* tests the directories soon: a write has failed */
void recover_tick(struct recover *r); /* once a second */
/* Which directory of the program is not writable, and why, without its path; NULL: none is known. Also schedules a test. */
const char *recover_fault(struct recover *r);

#endif
