/*
 * token_expiry: when a token is valid: the claims exp, nbf and iat (RFC 7519 4.1), read once and checked at every use. Floor F3, any
 * thread, pure. Not for: the other claims (token_claims.h).
 */
#ifndef AUTH_TOKEN_EXPIRY_H
#define AUTH_TOKEN_EXPIRY_H

#include "auth/token_fault.h"
#include "lucid/doc.h"

#define TOKEN_LEEWAY_S 30 /* tolerance for clocks that differ between issuer and this host */

/* Seconds since 1970. */
struct token_expiry {
	int64_t expires_s;    /* exp */
	int64_t not_before_s; /* the later of nbf and iat; 0: neither is given */
};

/* False: exp is absent, or one of the three is not a number. */
bool token_expiry_read(const json_t *payload, struct token_expiry *ret);
/* TOKEN_OK, TOKEN_EXPIRED or TOKEN_NOT_YET. */
enum token_fault token_expiry_check(const struct token_expiry *e, int64_t now_s);

#endif
