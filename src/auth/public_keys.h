/*
 * public_keys: verification with public keys: RS256, ES256 (P-256), EdDSA (Ed25519). Floor F3, loop thread, never blocks.
 * All keys have one algorithm, which the configuration sets; the token cannot choose it. Each algorithm has one form of signature:
 * RSASSA-PKCS1-v1_5 of the length of the modulus, r and s of 32 bytes each, 64 bytes for Ed25519.
 */
#ifndef AUTH_PUBLIC_KEYS_H
#define AUTH_PUBLIC_KEYS_H

#include <stddef.h>

#include "auth/token_algorithm.h"

#define PUBLIC_KEYS_MAX 8
#define PUBLIC_SIGNATURE_MAX 1024 /* bytes; RSA of 8192 bits */

struct public_keys;
/* Parses PEM with one or more PUBLIC KEY blocks; a line "kid: NAME" before a block sets the kid of that key. NULL with a reason in
 * `why`. */
struct public_keys *public_keys_parse(enum token_algorithm algorithm, const char *pem, char *why, size_t size);
void public_keys_free(struct public_keys *k); /* takes NULL */
/* Tries the keys whose kid is `kid`; if no key has it, those without a kid; if `kid` is "", all. */
bool public_keys_verify(struct public_keys *k, const char *kid, const void *data, size_t len, const unsigned char *sig,
			size_t sig_len);

#endif
