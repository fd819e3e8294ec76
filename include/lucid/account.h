/* account: whose a Linux account is. Floor F0, pure. The map is RDP_USER_MAP: "user=account", NULL-ended; NULL: none. */
#ifndef LUCID_ACCOUNT_H
#define LUCID_ACCOUNT_H

#include "lucid/caller.h"

/* The first user that the map gives this account to, else the one of its own name, if that one has no other account; else
 * nobody: "". */
void account_user(const char *const *map, const char *account, char dst[CALLER_NAME_MAX + 1]);

#endif
