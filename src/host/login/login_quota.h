/*
 * login_quota: whether a login may make a new desktop. Floor F3, supervisor only, loop thread. Never asks another process.
 *
 * A login to a desktop that the account has on the server adds none, and is never refused. Otherwise desktop.max_sessions bounds the desktops
 * of the server. MAX_SESSIONS_PER_USER and MAX_CONCURRENT_SESSIONS bound the sessions on all hosts: the desktops of this host are counted
 * here, the others are stated by the session controller (quota_statement.h).
 */
#ifndef HOST_LOGIN_LOGIN_QUOTA_H
#define HOST_LOGIN_LOGIN_QUOTA_H

#include "host/desktop/desktop.h"

/* sesman leads a login of this account to a desktop that it has on the server. */
bool login_has_desktop(const struct instance *i, const char *account);
/* Why this account may not log in: as quota_refusal. NULL: it may. *ret_why is set with it: a sentence, which the caller frees. */
const char *login_quota_refusal(struct instance *i, const char *account, char **ret_why);
/* A new desktop, whose user is set: takes a declared session of the user. If the account has another desktop on the server, its login was
 * not refused (sesman starts a further one if the color depth differs): then the desktop is ended if there may be no further one. */
void login_quota_started(struct desktop *d);

#endif
