/*
 * mounts: brings mounts that the host makes after the start of a server into its namespaces. Floor F3, supervisor only, loop thread; the
 * work is a job. The namespaces are slaves of the host's, but private mounts of the host do not propagate: a home directory mounted later
 * would be missing, and the session would write to the directory below it. So the mount table is watched; missing mounts are attached, and
 * unmounted ones detached.
 */
#ifndef HOST_KERNEL_MOUNTS_H
#define HOST_KERNEL_MOUNTS_H

#include "host/core.h"

struct mounts *mounts_new(struct host *h);
void mounts_free(struct mounts *m); /* takes NULL */
void mounts_tick(struct mounts *m); /* once a second */
/* Checks the table now. True: a job runs, and hook_release is called when it ends; a login waits for that. */
bool mounts_busy(struct mounts *m);

#endif
