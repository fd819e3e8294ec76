/*
 * logs: the newest lines of log files. Floor F3, supervisor only, loop thread: the files are those of the daemons, on local disks, and only
 * a bounded part of each is read. Control characters and invalid UTF-8 are replaced by '?', so that each line is one line of text.
 */
#ifndef HOST_OBSERVE_LOGS_H
#define HOST_OBSERVE_LOGS_H

#include "lucid/doc.h"

#define LOGS_FILE_MAX (512 * 1024) /* read from the end of a file */
#define LOGS_LINE_MAX 2000	   /* bytes; longer lines are truncated */

struct logs_file {
	const char *path, *source; /* source: the name of the file in the answer */
};
/* {"lines", "sources"}: the newest `lines` of all files, oldest first, and the source of each. Merged by the time at the start of each line
 * ("[20261121-10:00:00] …"); a line without one stays after its predecessor. Missing files, and paths that are not regular files, count as
 * empty. */
json_t *logs_newest(const struct logs_file *files, size_t n, size_t lines);

/* Opens a regular file for reading; -1 if there is none. The owner of its directory may have put something else there. */
int logs_open(const char *path);

#endif
