/*
 * account: names of Linux accounts and groups, and which user an account belongs to. Floor F0, pure. The map is RDP_USER_MAP:
 * "user=account", NULL-terminated; NULL: none.
 *
 * Directories have names such as first.last, name@realm, DOMAIN\name and "domain users". Every name that PAM and NSS accept is
 * accepted, everywhere by this one rule. Names are compared byte by byte, as pam_listfile does.
 */
#ifndef LUCID_ACCOUNT_H
#define LUCID_ACCOUNT_H

#include "lucid/caller.h"

#define ACCOUNT_MAX 256 /* bytes; the longest name that xrdp accepts */

/* 1 to ACCOUNT_MAX bytes of well-formed UTF-8 without control characters and line breaks. */
bool account_name_ok(const char *s);

/* The account of a user: the one that the map gives it, else that of the same name. Borrowed from the arguments. */
const char *account_of_user(const char *const *map, const char *user);
/* The user of an account: the first user that the map gives it to. If there is none, the user of the same name, unless the map gives
 * that user another account. Otherwise "". */
void account_user(const char *const *map, const char *account, char dst[CALLER_NAME_MAX + 1]);

#endif
