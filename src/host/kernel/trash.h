/*
 * trash: removes discarded directory trees in the background. Floor F3, supervisor only, loop thread. fs_discard moves a tree there by one
 * rename, because users may have left hundreds of thousands of files in it. A job of the lowest priority removes one tree after another,
 * also those that an earlier supervisor left.
 */
#ifndef HOST_KERNEL_TRASH_H
#define HOST_KERNEL_TRASH_H

#include "host/core.h"

/* The directories, each on the file system of what is moved to it; the caller frees. */
char *trash_of_data(const struct host *h);
char *trash_of_logs(const struct host *h);

struct trash;
struct trash *trash_new(struct host *h);
void trash_free(struct trash *t); /* takes NULL; what is left stays for the next supervisor */
void trash_empty(struct trash *t); /* starts a job; called at the start and after each removed instance */

#endif
