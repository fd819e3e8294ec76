/*
 * token: bearer tokens (JWT). Floor F3, loop thread only, never blocks. The configuration sets the algorithm, never the token: HS256 with
 * the secrets, or RS256, ES256 or EdDSA with public keys. With public keys, the tokens that the program signs itself (for calls between
 * roles, and `lucid-rdp token`) are still HS256 with the secret, with the typ TOKEN_OWN_TYP; no other HS256 token is valid then. A public
 * key is never used as a secret. A MAC is verified before the token is parsed. Valid tokens are kept in a bounded cache; their times are
 * checked at each use.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "auth/token_algorithm.h"
#include "auth/token_fault.h"
#include "lucid/caller.h"
#include "lucid/str.h"

struct token_keys;
#define TOKEN_OWN_TYP "lucid-rdp+jwt"

struct token_options {
	const char *secret;		    /* signs and verifies; at least 32 bytes */
	const char *const *old_secrets;    /* NULL-ended: verify only, for a rotation; may be NULL */
	const char *issuer, *audience;	    /* required if not "" */
	unsigned lifetime_s;		    /* default lifetime of minted tokens */
	enum token_algorithm algorithm;
	const char *public_keys; /* PEM (public_keys.h), unless HS256; NULL: only tokens of this program are valid */
};
#define TOKEN_SECRET_MIN 32 /* bytes */
#define TOKEN_SECRETS_MAX 8 /* the current one and old ones */
#define TOKEN_MAX 4096	    /* bytes of a token; longer ones are refused without parsing */
/* Copies the options; wiped when freed. NULL if a secret is shorter than TOKEN_SECRET_MIN, there are too many, or the public keys do not
 * fit the algorithm. */
struct token_keys *token_keys_new(const struct token_options *o);
void token_keys_free(struct token_keys *k); /* takes NULL */
/* Replaces the content of k, which others hold, by that of consume_next; for a rotation of keys. */
void token_keys_replace(struct token_keys *k, struct token_keys *consume_next);
/* How often the keys were replaced: tokens that were signed with another generation must be signed again. */
unsigned token_keys_generation(const struct token_keys *k);

/* Sets all of `ret` except the address. On a fault, `ret` is unchanged. */
enum token_fault token_verify(struct token_keys *k, const char *token, size_t len, struct caller *ret);
/* Signs a token. roles: NULL-ended list. The claim can_create_sessions is added only if false. ttl_s 0: lifetime_s. The caller frees. */
char *token_mint(struct token_keys *k, const char *sub, const char *const *roles, bool can_create_sessions, unsigned ttl_s);

/* A seal proves that a holder of the secret, and not only of a token that it signed, has sent `text` along with the token. base64url. */
#define TOKEN_SEAL_SIZE 44
void token_seal(struct token_keys *k, const char *token, const char *text, char ret[TOKEN_SEAL_SIZE]);
/* Accepts the seals of all secrets, like token_verify. */
bool token_seal_fits(struct token_keys *k, const char *token, const char *text, const char *seal);

#endif
