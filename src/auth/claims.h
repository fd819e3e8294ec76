/*
 * claims: what a token says, once its MAC was found good. Floor F3, loop thread, never blocks. Every claim that is known is
 * checked for its type, wanted or not: a token that is odd is a bad token. Not for: signatures and keys (token.c).
 */
#ifndef AUTH_CLAIMS_H
#define AUTH_CLAIMS_H

#include "auth/token.h"
#include "lucid/doc.h"

#define CLAIMS_LEEWAY_S 30

struct claims {
	struct caller caller;	       /* without the address */
	int64_t expires_s, not_before_s; /* since 1970; not_before is the later of nbf and iat, 0 for none */
};

/* The protected header: alg is this one, typ is `typ` unless that is NULL, nothing critical. ret_kid (borrowed from doc): ""
 * when there is none. */
enum token_fault claims_header(const json_t *doc, const char *alg, const char *typ, const char **ret_kid);
/* issuer, audience: wanted when not "". Times are taken, not judged: see claims_now. */
enum token_fault claims_read(const json_t *doc, const char *issuer, const char *audience, struct claims *ret);
/* Whether the times allow its use now. */
enum token_fault claims_now(const struct claims *c, int64_t now_s);

#endif
