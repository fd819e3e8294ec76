/*
 * recordings: the recordings of a host, and the entries host.recording.*. Floor F3, supervisor only, loop thread; what may block on a disk
 * runs in jobs.
 *
 * A recording that is over stays in the list until host.recording.stop was called for it, so that its end is not lost if nobody heard the
 * event. The free space is looked at while there are recordings: below the low-water mark they pause or end their sessions.
 */
#ifndef HOST_RECORDING_RECORDINGS_H
#define HOST_RECORDING_RECORDINGS_H

#include "host/core.h"

struct desktop;

struct recordings *recordings_new(struct host *h);
void recordings_free(struct recordings *rs); /* takes NULL; recorders close their chunks and end by themselves */
void recordings_adopt(struct host *h);	     /* once, after the instances were adopted */
void recordings_desktop_gone(const struct desktop *d);

void host_recording_start(struct host *h, const json_t *in, host_done done, void *arg);
void host_recording_stop(struct host *h, const json_t *in, host_done done, void *arg);
void host_recording_pause(struct host *h, const json_t *in, host_done done, void *arg);
void host_recording_resume(struct host *h, const json_t *in, host_done done, void *arg);
void host_recording_list(struct host *h, const json_t *in, host_done done, void *arg);
/* recording_files.c */
void host_recording_files(struct host *h, const json_t *in, host_done done, void *arg);
int host_recording_file(struct host *h, const json_t *in, const char **ret_why);
void host_recording_write(struct host *h, const json_t *in, host_done done, void *arg);
void host_recording_remove(struct host *h, const json_t *in, host_done done, void *arg);

#endif
