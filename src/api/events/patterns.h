/* patterns: the topics of an event stream. Floor F5, any thread, never blocks. */
#ifndef API_EVENTS_PATTERNS_H
#define API_EVENTS_PATTERNS_H

#include "lucid/shape.h"

#define PATTERNS_MAX 16
#define PATTERN_MAX 64

/* Converts "a,b" to "a\0b\0\0", which the caller frees; NULL with a fault if a pattern is invalid. */
char *patterns_read(const char *topics, struct faults *f);
/* Whether one of the patterns matches (str_match); NULL matches every topic. */
bool patterns_match(const char *patterns, const char *topic);

#endif
