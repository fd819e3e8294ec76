/* id: random ids and keys. Floor F0, any thread; reads the kernel's random source, which does not block after boot. */
#ifndef LUCID_ID_H
#define LUCID_ID_H

#include "lucid/base.h"

#define ID_UUID_SIZE 37
void id_uuid(char dst[ID_UUID_SIZE]); /* UUID version 4, lower case */
bool id_is_uuid(const char *s);	      /* 8-4-4-4-12 lower-case hex digits */

/* n random bytes for keys and ids, from a per-thread buffer that getrandom(2) fills; bytes that were used are wiped. */
void id_random(void *dst, size_t n);
/* 2n lower-case hex digits of n random bytes and a NUL. */
void id_hex(char *dst, size_t n);

#define ID_REQUEST_MAX 64
/* Whether a request id from outside is acceptable: 1 to 64 of [A-Za-z0-9._-]. */
bool id_is_request(const char *s);

#define ID_DIGEST_SIZE 65
/* SHA-256 of n bytes in lower-case hex. */
void id_digest(char dst[ID_DIGEST_SIZE], const void *data, size_t n);
/* HMAC-SHA256 of n bytes under a key (RFC 2104), in lower-case hex. */
void id_hmac(char dst[ID_DIGEST_SIZE], const void *key, size_t key_len, const void *data, size_t n);

#endif
