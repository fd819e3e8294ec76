/* caller: who asks. Floor F0; plain data. Filled from a verified token (src/auth), carried along with every call. */
#ifndef LUCID_CALLER_H
#define LUCID_CALLER_H

#include "lucid/base.h"

#define CALLER_NAME_MAX 128

enum { CALLER_ADMIN = 1 << 0, CALLER_SERVICE = 1 << 1, CALLER_USER = 1 << 2 };
struct caller {
	char sub[CALLER_NAME_MAX + 1]; /* "" : nobody (public) */
	unsigned roles;
	bool can_create_sessions;
	char address[64]; /* of the client, for audit and log; "" when a role called by itself */
};
static inline bool caller_is_admin(const struct caller *c)
{
	return c->roles & (CALLER_ADMIN | CALLER_SERVICE);
}

#endif
