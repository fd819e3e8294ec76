/* recordings: audit entries for what happens to recordings besides requests that change them: views, hashes of chunks, interruptions, and what the
 * controller does by itself. From the events of rdp-session-controller. Floor F5, loop thread only, never blocks. */
#ifndef API_AUDIT_RECORDINGS_H
#define API_AUDIT_RECORDINGS_H

#include "lucid/bus.h"

struct audit;
/* The caller unsubscribes before audit_free. NULL if a is NULL. */
struct subscription *audit_recordings(struct bus *b, struct audit *a);

#endif
