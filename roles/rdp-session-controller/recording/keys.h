/* keys: wraps the keys of recordings again when MASTER_KEY has changed. The previous value must be in MASTER_KEYS_OLD until that is done. Floor F6,
 * loop thread only, never blocks. */
#ifndef RECORDING_KEYS_H
#define RECORDING_KEYS_H

#include "roles/rdp-session-controller/recording/recordings.h"

/* Wraps the keys that are wrapped with an old MASTER_KEY, of hosts that this process follows; one recording at a time. */
void recordings_rewrap(struct recordings *r);

/* Logs how many recordings no MASTER_KEY of this process can open; after the keys or the recordings were loaded. */
void recordings_check_keys(struct recordings *r);
/* The recording was deleted before the task ran. */
void recording_rewrap_unrun(struct recording_task *t);

#endif
