/* caller: the identity behind a call. Floor F0; plain data. Filled in from a verified token (src/auth) and passed on with every call. */
#ifndef LUCID_CALLER_H
#define LUCID_CALLER_H

#include "lucid/base.h"

#define CALLER_NAME_MAX 128

enum { CALLER_ADMIN = 1 << 0, CALLER_SERVICE = 1 << 1, CALLER_USER = 1 << 2 };
struct caller {
	char sub[CALLER_NAME_MAX + 1]; /* subject of the token; "": anonymous */
	unsigned roles; /* CALLER_* */
	bool can_create_sessions;
	char address[64]; /* of the client, for audit and log; "": the call was made by a role itself */
};
/* True for admins and for roles that call as themselves. The API accepts the latter only on rows with OP_ROLES. */
static inline bool caller_is_admin(const struct caller *c)
{
	return c->roles & (CALLER_ADMIN | CALLER_SERVICE);
}

#endif
