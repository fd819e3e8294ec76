/* log, the side that sets it up. Floor F1. The lines themselves: lucid/log.h. */
#ifndef SYS_LOG_H
#define SYS_LOG_H

#include "lucid/log.h"
#include "lucid/loop.h"

enum log_format { LOG_JSON, LOG_TEXT };

void log_setup(enum log_level level, enum log_format format, int fd); /* fd is borrowed; default is stderr, text, INFO */
/* Two files that take what the log had before: once it is past LOG_FILE_BYTES its content goes to the first, and that one's to the
 * second. It is copied from descriptor to descriptor: so it needs no right to the folder, and whoever else holds the descriptors, as the
 * supervisor does for the server's next life, goes on with the same files. 20 MB of copying within the page cache, on the thread whose
 * line was one too many. */
#define LOG_FILE_BYTES (10 << 20)
#define LOG_OLD 2
void log_setup_old(const int fds[LOG_OLD]);
/* Where lines go, and went: who closes descriptors by the range leaves these open. Returns how many. */
size_t log_fds(int ret[1 + LOG_OLD]);
void log_set_level(enum log_level level);
/* From now on gather lines and write them at the end of each turn of this loop; NULL: write at once again. */
void log_attach(struct loop *l);
void log_flush(void);
uint64_t log_dropped(void);
bool log_level_from_string(const char *s, enum log_level *ret); /* DEBUG, INFO, WARNING or WARN, ERROR; any case */

/* One access line, made without printf: it is written for every request. */
struct log_access {
	const char *service, *method, *endpoint, *request_id, *principal, *client;
	int status;
	size_t bytes;
	int64_t duration_us;
};
void log_access(const struct log_access *a);

/* Every finished line goes here instead of the descriptor; for the supervisor, whose lines go through the pair. */
void log_redirect(bool (*sink)(const char *line, size_t len, void *arg), void *arg);
/* Add a line made elsewhere (by the supervisor). */
void log_raw(const char *line, size_t len);

#endif
