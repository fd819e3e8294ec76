/*
 * accounts: whether an account of this host may log in to a server. Floor F6. NSS may query a directory over the network, so
 * it is called on a worker thread, never on the loop. Not for: passwords, which only PAM sees.
 */
#ifndef XRDP_INTEGRATION_ACCOUNTS_H
#define XRDP_INTEGRATION_ACCOUNTS_H

#include "lucid/bus.h"

struct accounts;
/* Serves xrdp.accounts.check. Free it while the loop still runs, because checks in progress are answered after that. */
struct accounts *accounts_serve(struct bus *b, struct loop *l);
void accounts_free(struct accounts *a); /* takes NULL */

/* Why the account may not log in to a server with these allowed users and groups (arrays of names, may be NULL): "unknown", "root",
 * "system_account", "no_login_shell" or "not_allowed". NULL: it may log in. Blocks. */
const char *account_refused(const char *name, const json_t *allowed_users, const json_t *allowed_groups);

#endif
