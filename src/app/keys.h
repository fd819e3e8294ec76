/* keys: from settings to what verifies and signs tokens. Floor F7; reads the public key file, may block. */
#ifndef APP_KEYS_H
#define APP_KEYS_H

#include "auth/token.h"
#include "lucid/config.h"
#include "lucid/id.h"

/* NULL with a sentence. Free with token_keys_free. */
struct token_keys *keys_make(const struct config *c, char *why, size_t size);
/* Those that only sign, for who need not read the public keys. */
struct token_keys *keys_make_signing(const struct config *c);
/* Of the public keys as they lie in their file, to see whether they were changed; "" under HS256 or when it cannot be read. */
void keys_digest(const struct config *c, char dst[ID_DIGEST_SIZE]);
/* Whether the public keys do; true under HS256. False with a sentence. */
bool keys_public_fit(const struct config *c, char *why, size_t size);

#endif
