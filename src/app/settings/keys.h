/* keys: makes the keys that verify and sign tokens, and those that seal stored secrets, from the settings. Floor F7; reads the file of public keys, so it may block. */
#ifndef APP_SETTINGS_KEYS_H
#define APP_SETTINGS_KEYS_H

#include "auth/token.h"
#include "lucid/config.h"
#include "lucid/id.h"
#include "lucid/seal.h"

/* NULL with a reason. Free with token_keys_free. */
struct token_keys *keys_make(const struct config *c, char *why, size_t size);
/* Keys that only sign, without reading the public keys. */
struct token_keys *keys_make_signing(const struct config *c);
/* The keys that seal secrets in the store, from MASTER_KEY and MASTER_KEYS_OLD. NULL with a reason. */
struct seal *keys_make_seal(const struct config *c, char *why, size_t size);
/* A digest of the file of public keys, to detect changes; "" with HS256, or if the file cannot be read. */
void keys_digest(const struct config *c, char dst[ID_DIGEST_SIZE]);
/* Whether the public keys are valid for JWT_ALGORITHM; true with HS256. False with a reason. */
bool keys_public_fit(const struct config *c, char *why, size_t size);

#endif
