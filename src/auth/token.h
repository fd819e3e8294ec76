/*
 * token: bearer tokens (JWT). Floor F3, loop thread only, never blocks. The algorithm comes from the configuration, never from
 * the token: HS256 with the secrets, or one of RS256, ES256, EdDSA with public keys. With public keys, what the program signs
 * itself (roles among themselves, `lucid-rdp token`) is still HS256 with the secret, and is told by its typ TOKEN_OWN_TYP; no
 * other HS256 token is good then, and a public key is never a secret. A MAC is checked before anything in the token is looked
 * at. Verified tokens are kept in a bounded cache, and their times are checked at each use.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "lucid/caller.h"
#include "lucid/str.h"

struct token_keys;
enum token_algorithm { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256, TOKEN_EDDSA, TOKEN_ALGORITHMS };
const char *token_algorithm_name(enum token_algorithm a); /* "RS256" */
bool token_algorithm_find(const char *name, enum token_algorithm *ret);
#define TOKEN_OWN_TYP "lucid-rdp+jwt"

struct token_options {
	const char *secret;		    /* signs and verifies; at least 32 bytes */
	const char *const *old_secrets;    /* NULL-ended: verify only, for a rotation; may be NULL */
	const char *issuer, *audience;	    /* wanted when not "" */
	unsigned lifetime_s;		    /* of what token_mint makes by default */
	enum token_algorithm algorithm;
	const char *public_keys; /* PEM (public_keys.h), with others than HS256; NULL: none, only its own tokens are good */
};
#define TOKEN_SECRET_MIN 32 /* bytes */
#define TOKEN_SECRETS_MAX 8 /* the present one and old ones */
#define TOKEN_MAX 4096	    /* bytes of a token; longer ones are refused unread */
/* Copies; wiped when freed. NULL when a secret is shorter than TOKEN_SECRET_MIN, there are too many, or the public keys do not
 * fit the algorithm. */
struct token_keys *token_keys_new(const struct token_options *o);
void token_keys_free(struct token_keys *k); /* takes NULL */
/* From now on k is what `consume_next` was: for a rotation, as others hold k. */
void token_keys_replace(struct token_keys *k, struct token_keys *consume_next);
/* How often it was replaced: what was signed before that is to be signed anew. */
unsigned token_keys_generation(const struct token_keys *k);

enum token_fault { TOKEN_OK, TOKEN_MALFORMED, TOKEN_SIGNATURE, TOKEN_ALGORITHM, TOKEN_EXPIRED, TOKEN_NOT_YET, TOKEN_CLAIMS,
		   TOKEN_ISSUER, TOKEN_AUDIENCE, TOKEN_FAULTS };
const char *token_fault_text(enum token_fault f); /* a sentence for WWW-Authenticate and the error */
const char *token_fault_name(enum token_fault f); /* label of the metric */

/* Fills everything of `ret` but the address. Leaves it untouched on a fault. */
enum token_fault token_verify(struct token_keys *k, const char *token, size_t len, struct caller *ret);
/* Sign one. roles: NULL-ended list. can_create_sessions as a claim only when false. ttl_s 0: lifetime_s. The caller frees. */
char *token_mint(struct token_keys *k, const char *sub, const char *const *roles, bool can_create_sessions, unsigned ttl_s);

#endif
