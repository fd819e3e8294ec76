/*
 * seal: encrypts secrets for storage with MASTER_KEY, such as the password of an RDP target. Floor F3 (implemented in src/auth), loop
 * thread only, never blocks: sealing a password takes microseconds.
 *
 * AES-256-GCM with a random nonce. Each purpose has a key of its own, derived from MASTER_KEY with HKDF-SHA256. A sealed text is bound to
 * its place (purpose, collection, id of the document, field), so that it cannot be opened in the place of another one. Its form is
 *
 *     seal1.KEY.LENGTH.DATA      KEY: 16 hex digits, the id of the MASTER_KEY; LENGTH: of the secret in bytes; DATA: base64url
 *
 * which is one JSON string. KEY tells which of several MASTER_KEYs opens it, and reveals nothing about the key. To change MASTER_KEY, put
 * the previous value into MASTER_KEYS_OLD: what it sealed can still be opened, and seal_is_current says what to seal again.
 *
 * A document that holds a sealed text may be stored, backed up and passed to other processes with the same MASTER_KEY. It must not be shown
 * to users: show `has_password` instead. Not for: passwords that are only compared (hash them), proofs of origin (auth/token.h).
 */
#ifndef LUCID_SEAL_H
#define LUCID_SEAL_H

#include "lucid/base.h"

#define SEAL_MAX 65536 /* bytes of a secret */
#define SEAL_KEYS_MAX 8 /* the current key and old ones */
#define SEAL_SECRET_MIN 32 /* bytes of a MASTER_KEY */
#define SEAL_KEY_ID_SIZE 17

struct seal;
/* `old`: previous keys, NULL-terminated, or NULL. The keys are copied, and wiped when freed. NULL: a key is shorter than SEAL_SECRET_MIN, or
 * there are too many. */
struct seal *seal_new(const char *master_key, const char *const *old);
void seal_free(struct seal *s); /* takes NULL */
/* Replaces the keys of s, which others hold, by those of consume_next; when MASTER_KEY changes. */
void seal_replace(struct seal *s, struct seal *consume_next);
/* The id of the current key, for messages and checks. */
const char *seal_key_id(const struct seal *s);

/* What a secret is for, and where its sealed text is stored. All four are required; none is a secret. They are part of what is sealed: a
 * document that gets another id must be sealed again. */
struct seal_place {
	const char *purpose;	/* "rdp-password"; a static word, which selects the key */
	const char *collection; /* "rdp_sessions" */
	const char *id;
	const char *field; /* "rdp_config.password" */
};

/* The sealed text, which the caller frees. NULL: the secret is longer than SEAL_MAX. */
char *seal_text(const struct seal *s, const struct seal_place *at, const void *secret, size_t len);

enum seal_result {
	SEAL_OK,
	SEAL_NOT_SEALED, /* not the form of a sealed text */
	SEAL_OTHER_KEY,	 /* sealed with a MASTER_KEY that this process does not have */
	SEAL_TRUNCATED,	 /* the text ends early */
	SEAL_TAMPERED,	 /* it was changed, or sealed for another place */
};
/* Opens a sealed text. *ret_secret (with a NUL after it, which *ret_len, may be NULL, does not count) is freed with seal_forget. It is
 * unchanged unless the result is SEAL_OK. */
enum seal_result seal_open(const struct seal *s, const struct seal_place *at, const char *text, char **ret_secret, size_t *ret_len);
/* "was sealed with another MASTER_KEY; …": a predicate with the name of what cannot be opened before it, and what to do; static. */
const char *seal_result_to_string(enum seal_result r);
/* Wipes and frees a secret; takes NULL. */
void seal_forget(char *secret);
void seal_forgetp(char **secret);

/* True if the text was sealed with the current key, so it need not be sealed again. Does not open it. */
bool seal_is_current(const struct seal *s, const char *text);
/* True if one of the keys has sealed it, judging by the id in the text alone. */
bool seal_has_key(const struct seal *s, const char *text);
/* Copies the key id out of a sealed text. False: it is not one. */
bool seal_text_key_id(const char *text, char ret[SEAL_KEY_ID_SIZE]);

#endif
