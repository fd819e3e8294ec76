/*
 * login_guard: counts failed logins by client address and blocks addresses. Floor F3, one thread; in memory only, so a restart of the
 * supervisor forgets them. Bounded: beyond GUARD_MAX addresses, the one whose failure is oldest is forgotten.
 */
#ifndef HOST_LOGIN_LOGIN_GUARD_H
#define HOST_LOGIN_LOGIN_GUARD_H

#include "host/core.h"

#define GUARD_MAX 4096

struct login_guard;
struct login_guard *login_guard_new(void);
void login_guard_free(struct login_guard *g); /* takes NULL */
void login_guard_failed(struct login_guard *g, const struct login_settings *l, const char *address, int64_t now_ms);
bool login_guard_blocks(const struct login_guard *g, const struct login_settings *l, const char *address, int64_t now_ms);

#endif
