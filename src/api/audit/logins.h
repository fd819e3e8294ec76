/* logins: audit entries for RDP logins of this host, from the supervisor's events. Floor F5, loop thread only, never blocks. */
#ifndef API_AUDIT_LOGINS_H
#define API_AUDIT_LOGINS_H

#include "lucid/bus.h"

struct audit;
/* The caller unsubscribes before audit_free. NULL if a is NULL. */
struct subscription *audit_logins(struct bus *b, struct audit *a);

#endif
