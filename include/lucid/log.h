/*
 * log: one line for each event, JSON or text. Floor F1; any thread; does not block. Lines are buffered and written when the loop's turn
 * ends; WARN and above, and lines before the loop runs, are written at once. If the reader of the log does not keep up, lines are
 * dropped and counted. Never log a secret or a body.
 */
#ifndef LUCID_LOG_H
#define LUCID_LOG_H

#include "lucid/base.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

/* Fields: name/value pairs of text. A NULL name ends the list; a field with a NULL value is omitted. */
struct log_field {
	const char *name, *value;
};
/* `service` is the module or role; request_id and fields may be NULL. */
void log_write(enum log_level level, const char *service, const char *request_id, const struct log_field *fields,
	       const char *fmt, ...) PRINTF(5, 6);
bool log_enabled(enum log_level level);

/* Short forms; `service` is the module's name. */
#define log_error(service, ...) log_write(LOG_ERROR_, service, NULL, NULL, __VA_ARGS__)
#define log_warn(service, ...) log_write(LOG_WARN_, service, NULL, NULL, __VA_ARGS__)
#define log_info(service, ...) log_write(LOG_INFO_, service, NULL, NULL, __VA_ARGS__)
#define log_debug(service, ...)                                                                                        \
	(log_enabled(LOG_DEBUG_) ? log_write(LOG_DEBUG_, service, NULL, NULL, __VA_ARGS__) : (void)0)

#endif
