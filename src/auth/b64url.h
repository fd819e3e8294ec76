/* b64url: base64url without padding (RFC 4648 section 5); accepts only the canonical encoding. Floor F3, any thread. */
#ifndef AUTH_B64URL_H
#define AUTH_B64URL_H

#include <sys/types.h>

#include "lucid/base.h"

#define B64URL_TEXT(bytes) (((bytes)*4 + 2) / 3)

/* Decodes into dst (at least len * 3 / 4 bytes). Returns the number of bytes, or -1: an invalid character, padding, an impossible length,
 * or trailing bits that are not zero. */
ssize_t b64url_decode(void *dst, const char *src, size_t len);
/* Writes B64URL_TEXT(len) characters, not terminated, and returns their number. */
size_t b64url_encode(char *dst, const void *src, size_t len);

#endif
