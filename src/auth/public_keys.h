/*
 * public_keys: keys that verify and cannot sign: RS256, ES256 (P-256), EdDSA (Ed25519). Floor F3, loop thread, never blocks.
 * The algorithm belongs to the keys, which are all of one kind; no token has a say in it. Signatures have one form each:
 * RSASSA-PKCS1-v1_5 as long as the modulus, r and s of 32 bytes each, 64 bytes of Ed25519.
 */
#ifndef AUTH_PUBLIC_KEYS_H
#define AUTH_PUBLIC_KEYS_H

#include "auth/token.h"

#define PUBLIC_KEYS_MAX 8
#define PUBLIC_SIGNATURE_MAX 1024 /* bytes; RSA of 8192 bits */

struct public_keys;
/* From PEM: one or more blocks PUBLIC KEY; a line "kid: NAME" before a block gives that key its kid. NULL with a sentence. */
struct public_keys *public_keys_parse(enum token_algorithm algorithm, const char *pem, char *why, size_t size);
void public_keys_free(struct public_keys *k); /* takes NULL */
/* A kid that is ours names the key; one that is not leaves those without a kid; "" leaves all. */
bool public_keys_verify(struct public_keys *k, const char *kid, const void *data, size_t len, const unsigned char *sig,
			size_t sig_len);

#endif
