/*
 * logs: the newest lines of log files. Floor F3, supervisor only, loop thread: files are the daemons' own, on local disks, and
 * what is read of each is bounded. Control characters and bad UTF-8 become '?', so that a line shown is one line of text.
 */
#ifndef HOST_LOGS_H
#define HOST_LOGS_H

#include "lucid/doc.h"

#define LOGS_FILE_MAX (512 * 1024) /* read from the end of a file */
#define LOGS_LINE_MAX 2000	   /* bytes of a line that are shown */

/* The newest `lines` of the files together, oldest first: merged by the time in front of each ("[20261121-10:00:00] …"; lines
 * without one stay behind the one before). Files that are not there, or are not plain files, count as empty. */
json_t *logs_newest(const char *const *paths, size_t n, size_t lines);

/* A plain file, to be read; -1 when it is not there, or is none: whoever owns its directory may have put something else there. */
int logs_open(const char *path);

#endif
