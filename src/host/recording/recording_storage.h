/*
 * recording_storage: how much space there is for recordings, and how much they use. Floor F3, supervisor only, loop thread. Jobs look,
 * because a file system may not respond; the answers here are those of the last look.
 */
#ifndef HOST_RECORDING_RECORDING_STORAGE_H
#define HOST_RECORDING_RECORDING_STORAGE_H

#include "host/core.h"

enum recording_space {
	SPACE_UNKNOWN, /* not looked at yet, or the storage does not respond */
	SPACE_LOW,     /* below the low-water mark: running recordings must not write */
	SPACE_BETWEEN, /* what runs may go on, what pauses does not resume */
	SPACE_ENOUGH,  /* above the high-water mark */
};

struct recording_storage;
/* `looked` is called after each look. */
struct recording_storage *recording_storage_new(struct host *h, void (*looked)(void *arg), void *arg);
void recording_storage_free(struct recording_storage *s);
/* Starts a look, unless one is in progress, or the last one was a moment ago: more often the less space there is. */
void recording_storage_look(struct recording_storage *s);
enum recording_space recording_storage_space(const struct recording_storage *s);
bool recording_storage_is_over(const struct recording_storage *s); /* the recordings have reached MAX_STORAGE_SIZE_GB */
json_t *recording_storage_doc(const struct recording_storage *s);	   /* RecordingStorage */

#endif
