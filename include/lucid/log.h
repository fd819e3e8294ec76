/*
 * log: one line an event, JSON or text. Floor F1; any thread; does not block: lines gather in a buffer that is written when
 * the loop's turn ends (or at once for WARN and above, and before the loop runs); a reader that does not read costs lines,
 * which are counted, never time. Never give it a secret or a body.
 */
#ifndef LUCID_LOG_H
#define LUCID_LOG_H

#include "lucid/base.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

/* Fields: name/value pairs, text only, NULL name ends; a NULL value leaves the field out. */
struct log_field {
	const char *name, *value;
};
void log_write(enum log_level level, const char *service, const char *request_id, const struct log_field *fields,
	       const char *fmt, ...) PRINTF(5, 6);
bool log_enabled(enum log_level level);

/* The short forms take the module's name. */
#define log_error(service, ...) log_write(LOG_ERROR_, service, NULL, NULL, __VA_ARGS__)
#define log_warn(service, ...) log_write(LOG_WARN_, service, NULL, NULL, __VA_ARGS__)
#define log_info(service, ...) log_write(LOG_INFO_, service, NULL, NULL, __VA_ARGS__)
#define log_debug(service, ...)                                                                                        \
	(log_enabled(LOG_DEBUG_) ? log_write(LOG_DEBUG_, service, NULL, NULL, __VA_ARGS__) : (void)0)

#endif
