/*
 * record_keys: the keys of recordings. Floor F2 (implemented in src/record), any thread, never blocks.
 *
 *     MASTER_KEY ── HKDF-SHA256 ──┬─ "rck1 kek"     the key-encryption key, which wraps the data key of each recording
 *                                 ├─ "rck1 kek id"  8 bytes that name it
 *                                 └─ "rck1 seal"    seed of the Ed25519 key that signs manifests and seals
 *     data key ── HKDF-SHA256, salt of the chunk, "rck1 chunk" ‖ recording id ‖ sequence number ── the chunk's key
 *
 * To change MASTER_KEY: unwrap with the old master, wrap with the new one, and write the manifest again (record_papers.h). Chunks and seal
 * stay as they are. Keys must be wiped by their owner (mem_wipe). Not for: passwords and other secrets (seal.h).
 */
#ifndef LUCID_RECORD_KEYS_H
#define LUCID_RECORD_KEYS_H

#include "lucid/record.h"

#define RECORD_KEK_ID_SIZE 17	     /* 16 hex digits */
#define RECORD_WRAPPED_BYTES 60	     /* nonce 12, ciphertext 32, tag 16 */
#define RECORD_PUBLIC_BYTES 32	     /* Ed25519 */
#define RECORD_MASTER_MIN 32	     /* bytes of a MASTER_KEY */

/* What is derived from one MASTER_KEY. It contains secrets: record_master_done wipes it. */
struct record_master {
	uint8_t kek[RECORD_KEY_BYTES], seed[RECORD_KEY_BYTES];
	uint8_t public_key[RECORD_PUBLIC_BYTES];
	char kek_id[RECORD_KEK_ID_SIZE];
};
/* False: the key is shorter than RECORD_MASTER_MIN. */
bool record_master_init(struct record_master *m, const void *master_key, size_t len);
void record_master_done(struct record_master *m);

/* 32 random bytes. */
void record_key_new(uint8_t ret[RECORD_KEY_BYTES]);

struct record_wrapped {
	char kek_id[RECORD_KEK_ID_SIZE];
	uint8_t data[RECORD_WRAPPED_BYTES];
};
void record_key_wrap(const struct record_master *m, const uint8_t id[RECORD_ID_BYTES], const uint8_t key[RECORD_KEY_BYTES], struct record_wrapped *ret);
enum record_unwrap {
	RECORD_UNWRAPPED,
	RECORD_OTHER_MASTER, /* wrapped under another MASTER_KEY, by its id */
	RECORD_KEY_MODIFIED, /* it was changed, or belongs to another recording */
};
/* ret is unchanged unless the result is RECORD_UNWRAPPED. */
enum record_unwrap record_key_unwrap(const struct record_master *m, const uint8_t id[RECORD_ID_BYTES], const struct record_wrapped *w, uint8_t ret[RECORD_KEY_BYTES]);

/* The key of one chunk. */
void record_chunk_key(const uint8_t key[RECORD_KEY_BYTES], const uint8_t salt[16], const uint8_t id[RECORD_ID_BYTES], uint32_t seq, uint8_t ret[RECORD_KEY_BYTES]);

/* AES-256-GCM if this processor has instructions for it, otherwise ChaCha20-Poly1305. */
enum record_cipher record_cipher_here(void);

/* Ed25519 over context ‖ 00 ‖ text. */
void record_sign(const struct record_master *m, const char *context, const void *text, size_t len, uint8_t ret[64]);
bool record_signature_good(const uint8_t public_key[RECORD_PUBLIC_BYTES], const char *context, const void *text, size_t len, const uint8_t signature[64]);

#endif
