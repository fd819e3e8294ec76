/* text: events in the format of text/event-stream. Floor F5, any thread, never blocks. The caller owns the returned blob. */
#ifndef API_EVENTS_TEXT_H
#define API_EVENTS_TEXT_H

#include "lucid/bus.h"

struct blob *events_text(const struct event *e);
/* An event about the stream itself; a client that receives it resumes after `id`. */
struct blob *events_own_text(const char *id, const char *topic, const char *reason, const char *message);

#endif
