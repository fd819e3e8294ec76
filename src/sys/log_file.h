/* log_file: opens and rotates the log's files, in a process that may create files in their directory. Floor F1; a few calls on the disk. */
#ifndef SYS_LOG_FILE_H
#define SYS_LOG_FILE_H

#include "sys/privileges.h"

/* Opens a file for appending; creates it if needed; gives it to this user if run as root. The descriptor or -errno. */
int log_file_open(const char *path, const struct run_user *u);
/* PATH.1 becomes PATH.2 and PATH becomes PATH.1, by renaming; the descriptor of a new PATH, or -errno with PATH as it was. */
int log_file_rotate(const char *path, const struct run_user *u);

#endif
