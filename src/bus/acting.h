/*
 * acting: the header with which a role that calls another one names the original caller: "sub=alice;roles=user;sessions=yes;
 * from=192.0.2.7", values percent-encoded. Floor F4, pure. The header is trusted only together with the calling role's own token and a
 * seal of both (auth/token.h), which the receiver must verify first: else whoever got hold of a role's token could call as an admin.
 */
#ifndef BUS_ACTING_H
#define BUS_ACTING_H

#include "lucid/caller.h"

#define ACTING_HEADER "X-Lucid-For"
#define ACTING_SEAL_HEADER "X-Lucid-Seal"

/* The caller frees. NULL: the role calls on its own behalf, without the header. */
char *acting_text(const struct caller *c);
/* False, with *ret unchanged: the text is malformed. Without an address in the text, that of *ret is kept. */
bool acting_read(const char *text, struct caller *ret);

#endif
