/*
 * token_claims: header and claims of a token whose signature is valid: algorithm, subject, roles, issuer, audience. Floor F3, loop
 * thread, never blocks. The type of every known claim is checked, even if the claim is not required: a malformed claim invalidates the token.
 * Not for: signatures and keys (token.h), expiry (token_expiry.h).
 */
#ifndef AUTH_TOKEN_CLAIMS_H
#define AUTH_TOKEN_CLAIMS_H

#include "auth/token_expiry.h"
#include "auth/token_fault.h"
#include "lucid/caller.h"
#include "lucid/doc.h"

struct claims {
	struct caller caller; /* without the address */
	struct token_expiry expiry;
};

/* Checks the protected header: alg must be `alg`, typ must be `typ` unless that is NULL, and crit must be absent. ret_kid (borrowed from
 * doc) is "" if there is no kid. */
enum token_fault claims_header(const json_t *doc, const char *alg, const char *typ, const char **ret_kid);
/* issuer, audience: required if not "". Reads the expiry but does not check it: see token_expiry_check. */
enum token_fault claims_read(const json_t *doc, const char *issuer, const char *audience, struct claims *ret);

#endif
