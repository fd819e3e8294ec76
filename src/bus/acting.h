/*
 * acting: for whom a role calls another one, as a header beside the role's own token: "sub=alice;roles=user;sessions=yes;
 * from=192.0.2.7", values percent-encoded. Floor F4, pure. It says who the caller is only because of the token beside it: whoever
 * reads it has looked at that first.
 */
#ifndef BUS_ACTING_H
#define BUS_ACTING_H

#include "lucid/caller.h"

#define ACTING_HEADER "X-Lucid-For"

/* The caller frees. NULL: the role itself calls, and nothing needs to be said. */
char *acting_text(const struct caller *c);
/* False, with *ret untouched: it is none. An address that is not said stays. */
bool acting_read(const char *text, struct caller *ret);

#endif
