/* b64url: base64url without padding (RFC 4648 section 5), one spelling for each run of bytes. Floor F3, any thread. */
#ifndef AUTH_B64URL_H
#define AUTH_B64URL_H

#include <sys/types.h>

#include "lucid/base.h"

#define B64URL_TEXT(bytes) (((bytes)*4 + 2) / 3)

/* Decodes into dst (room for len * 3 / 4 bytes); the number of bytes, or -1: a foreign character, padding, an impossible
 * length, or bits behind the end that are not zero. */
ssize_t b64url_decode(void *dst, const char *src, size_t len);
/* Writes B64URL_TEXT(len) characters, not terminated, and returns their number. */
size_t b64url_encode(char *dst, const void *src, size_t len);

#endif
