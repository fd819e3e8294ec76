/* log: set-up, rotation and access lines. Floor F1. For writing lines: lucid/log.h. */
#ifndef SYS_LOG_H
#define SYS_LOG_H

#include "lucid/log.h"
#include "lucid/loop.h"

enum log_format { LOG_JSON, LOG_TEXT };

void log_setup(enum log_level level, enum log_format format, int fd); /* fd is borrowed; default is stderr, text, INFO */
/* Three files of LOG_FILE_BYTES are kept. When the file is full, a process that may create files in its directory rotates them by
 * renaming (log_file.h): this process, or the supervisor, which passes the new descriptor to the server. */
#define LOG_FILE_BYTES (10 << 20)
#define LOG_OLD 2
/* `more` is called when the file is full, on any thread, with the log's lock held, so it must not log. It returns the descriptor of a
 * new file, which the log then owns; or -1 if there is none, or if log_replace follows later. It is called again after another
 * LOG_FILE_BYTES. NULL: the file is never rotated. */
void log_setup_more(int (*more)(void *arg), void *arg);
/* Continue in this file, under the previous descriptor number. Owns consume_fd. */
void log_replace(int consume_fd);
bool log_is_full(void);
/* For a process that cannot create files in the directory (it has dropped its privileges and has no supervisor): two open files to which
 * a thread copies the older lines. */
void log_setup_old(const int fds[LOG_OLD]);
/* The descriptors of the log and of the older files, which must stay open when ranges of descriptors are closed. Returns how many. */
size_t log_fds(int ret[1 + LOG_OLD]);
void log_set_level(enum log_level level);
/* From now on buffer lines and write them at the end of each turn of this loop; NULL: write at once again. */
void log_attach(struct loop *l);
void log_flush(void);
uint64_t log_dropped(void); /* lines that were dropped because the buffer or the disk was full */
bool log_level_from_string(const char *s, enum log_level *ret); /* DEBUG, INFO, WARNING or WARN, ERROR; any case */

/* One access line, formatted without printf, because it is written for every request. */
struct log_access {
	const char *service, *method, *endpoint, *request_id, *principal, *client;
	int status;
	size_t bytes;
	int64_t duration_us;
	bool quiet; /* health checks and scrapes: at DEBUG */
};
void log_access(const struct log_access *a);

/* Pass every line to `sink`, which returns false to have it written as usual; for the supervisor, whose lines go through the pair. */
void log_redirect(bool (*sink)(const char *line, size_t len, void *arg), void *arg);
/* Add a line that another process formatted (the supervisor). */
void log_raw(const char *line, size_t len);

#endif
