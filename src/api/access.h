/*
 * access: authentication, authorization and rate limits of a request. Floor F5, loop thread only, never blocks. The rate is checked
 * against this process's own count first; where processes share limits, against the count in Redis as well.
 */
#ifndef API_ACCESS_H
#define API_ACCESS_H

#include "lucid/config.h"
#include "lucid/op.h"

struct request;
struct access;
struct access *access_new(void);
void access_reload(struct access *a, const struct config *c);
void access_free(struct access *a);

/* 0, or a negated error: the request was either answered, or waits for the count in Redis and is then routed again (request.again).
 * for_roles: a service token is sufficient (OP_ROLES). */
int access_check(struct request *q, enum op_scope scope, enum op_rate rate, bool for_roles);
/* The token that access_check verified. */
const char *access_token(struct request *q);
/* Whether the token is a service token without other roles. Neither answers the request nor counts it. */
bool access_is_role(struct request *q);

#endif
